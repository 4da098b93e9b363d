import { testConformance } from "./conformance-suite.ts";

testConformance("page");
