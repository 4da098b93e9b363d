import { setFlagsFromString } from "node:v8";
import { probeFeatures } from "../../src/wasm/index.ts";
import { testConformance } from "./conformance-suite.ts";

// Node 20 has relaxed SIMD behind a flag only.
if (!probeFeatures().relaxedSimd) setFlagsFromString("--experimental-wasm-relaxed-simd");

testConformance("node");
