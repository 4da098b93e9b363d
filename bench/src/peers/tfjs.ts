/** TensorFlow.js on its WASM backend. */
import { createRequire } from "node:module";
// Not part of the entry for Node.
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import type { Framework } from "../framework.ts";
import { type Tf, tfjsTask } from "./tfjs-programs.ts";

const require = createRequire(import.meta.url);
// The CommonJS build: its ES modules do not load in Node.
const tf = require("@tensorflow/tfjs-core") as Tf;

export async function tfjs(version: string): Promise<Framework> {
  require("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  await tf.ready();
  return { name: "tfjs", version, prepare: (work) => Promise.resolve(tfjsTask(tf, work)) };
}
