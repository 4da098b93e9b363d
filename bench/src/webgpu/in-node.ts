/** WebGPU in Node: one entry for everybody, and the peers that find it through `navigator`. */
import { createRequire } from "node:module";
// Not part of the entry for Node.
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import type { Tf } from "../peers/tfjs-programs.ts";
import { tfjsWebgpu } from "../peers/tfjs-webgpu.ts";
import type { Starter } from "./measure.ts";

/** Puts `navigator.gpu` and the classes of WebGPU in place, as in a page. */
export async function provideWebgpu(): Promise<void> {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  // Timestamps to the nanosecond, and not to the 0.1 ms that pages are given.
  const gpu = create(["disable-dawn-features=timestamp_quantization"]);
  const { hardwareConcurrency = 1 } = (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator ?? {};
  const value = { gpu, hardwareConcurrency, userAgent: `Node ${process.versions.node}` };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
}

export function peersInNode(versions: Readonly<Record<"jax-js" | "tfjs", string>>): readonly Starter[] {
  const require = createRequire(import.meta.url);
  return [
    ["jax-js", async () => (await import("../peers/jax-js.ts")).jaxJs(versions["jax-js"], "webgpu")],
    [
      "tfjs",
      async () => {
        // The CommonJS build: its ES modules do not load in Node.
        const tf = require("@tensorflow/tfjs-core") as Tf;
        require("@tensorflow/tfjs-backend-webgpu");
        return tfjsWebgpu(tf, versions.tfjs);
      },
    ],
  ];
}
