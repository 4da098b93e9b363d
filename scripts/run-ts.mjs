// Runs a TypeScript file of the workspace from its sources: node scripts/run-ts.mjs <file.ts> [arguments].
// Node 20 cannot run TypeScript itself, so the file is bundled first.
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { root } from "./workspace.mjs";

const [file, ...args] = process.argv.slice(2);
if (file === undefined || !existsSync(file)) {
  console.error(`run-ts: there is no file ${file ?? ""}\n        usage: node scripts/run-ts.mjs <file.ts> [arguments]`);
  process.exit(2);
}
const outfile = join(root, "node_modules", ".banach", "run", `${basename(file, ".ts")}.mjs`);
const path = resolve(file);
await build({
  entryPoints: [path],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  conditions: ["@banach/source"],
  // A bundle of CommonJS packages calls require, which ESM does not have.
  banner: {
    js: `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(${JSON.stringify(path)});`,
  },
  // The place of the file, not of its bundle, so that it finds what lies next to it.
  define: { "import.meta.url": JSON.stringify(pathToFileURL(path).href) },
  sourcemap: "inline",
  logLevel: "warning",
});
process.setSourceMapsEnabled(true);
process.argv = [process.execPath, path, ...args];
await import(pathToFileURL(outfile).href);
