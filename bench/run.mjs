// Bundles the bench with the workspace's sources and runs it: node bench/run.mjs [options]. Node 20 cannot run TypeScript
// itself. The peers stay outside the bundle, where they find their own .wasm files.
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import * as tools from "./page.mjs";

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
// Below bench, so that the bundle finds bench's dependencies. One per process: two runs may overlap.
const outfile = here(`node_modules/.bench/${String(process.pid)}.mjs`);
await build({
  entryPoints: [here("src/main.ts")],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  conditions: ["@banach/source"],
  external: [
    "@jax-js/jax",
    // Its gradients are not part of its entry for Node; they are bundled, and find the engine through a global.
    "@tensorflow/tfjs-core",
    "@tensorflow/tfjs-backend-wasm",
    "@tensorflow/tfjs-backend-webgpu",
    "webgpu",
    "onnxruntime-web",
    "benchmark",
    "wabt",
  ],
  plugins: [
    {
      name: "gradients-inside",
      setup: (bundle) => {
        bundle.onResolve({ filter: /^@tensorflow\/tfjs-core\/dist\// }, ({ path }) => ({
          path: here(`node_modules/${path}`),
        }));
      },
    },
  ],
  logLevel: "warning",
});
process.argv = [process.execPath, outfile, ...process.argv.slice(2)];
const { main } = /** @type {{ main: (given: typeof tools) => Promise<void> }} */ (
  await import(pathToFileURL(outfile).href)
);
try {
  await main(tools);
} finally {
  const { rm } = await import("node:fs/promises");
  await rm(outfile, { force: true });
}
// Dawn may keep a process from ending.
process.exit();
