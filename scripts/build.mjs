// Builds each package into its dist/: ESM bundles by esbuild, declarations by TypeScript. Entries come from package.json
// (`exports` and `bin`), so a new package needs no line here. It does not check types: `npm run types` does.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { build } from "esbuild";
import ts from "typescript";
import {
  digest,
  filesBelow,
  packageFolders,
  readManifest,
  readStamp,
  root,
  secondsSince,
  writeStamp,
} from "./workspace.mjs";

/**
 * The package's entry files, relative to the package.
 * @param {import("./workspace.mjs").Manifest} manifest
 */
function entries(manifest) {
  const bins = typeof manifest.bin === "string" ? [manifest.bin] : Object.values(manifest.bin ?? {});
  const binSources = bins.map((path) => path.replace(/^(\.\/)?dist\//, "src/").replace(/\.js$/, ".ts"));
  const exported = Object.values(manifest.exports ?? {})
    .map((conditions) => (typeof conditions === "string" ? undefined : conditions["@banach/source"]))
    .filter((source) => typeof source === "string")
    .map((source) => source.replace(/^\.\//, ""));
  return { bins, sources: [...new Set([...exported, ...binSources])] };
}

/**
 * @param {string} folder
 * @param {import("./workspace.mjs").Manifest} manifest
 */
async function bundle(folder, manifest) {
  const { bins, sources } = entries(manifest);
  await build({
    absWorkingDir: folder,
    entryPoints: sources,
    outbase: "src",
    outdir: "dist",
    bundle: true,
    splitting: true,
    format: "esm",
    // A package with a command runs on Node; any other must also run where there is no Node.
    platform: bins.length > 0 ? "node" : "neutral",
    packages: "external",
    // Lowers `using`, which Node 20 cannot parse.
    target: "es2022",
    sourcemap: true,
    chunkNames: "chunks/[name]-[hash]",
    legalComments: "none",
    logLevel: "error",
    color: process.stderr.isTTY,
  });
  for (const bin of bins) {
    const path = join(folder, bin);
    if (!readFileSync(path, "utf8").startsWith("#!")) {
      throw new Error(`${relative(root, folder)}: the source of ${bin} must start with #!/usr/bin/env node`);
    }
    chmodSync(path, 0o755);
  }
}

/**
 * Declarations for every source, without the full type check: `isolatedDeclarations` keeps the types written out.
 * @param {string} folder
 */
function declare(folder) {
  const source = join(folder, "src");
  const { config } = /** @type {{ config: unknown }} */ (
    ts.readConfigFile(join(folder, "tsconfig.json"), (path) => ts.sys.readFile(path))
  );
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, folder);
  const program = ts.createProgram(fileNames, { ...options, noEmit: false, emitDeclarationOnly: true });
  /** @type {ts.Diagnostic[]} */
  const problems = [];
  // The program also holds the sources of the packages this one imports; those are theirs to declare.
  for (const file of program.getSourceFiles().filter(({ fileName }) => !relative(source, fileName).startsWith(".."))) {
    const path = join(folder, "dist", relative(source, file.fileName)).replace(/\.ts$/, ".d.ts");
    mkdirSync(dirname(path), { recursive: true });
    const { diagnostics } = program.emit(
      file,
      (_, text) => writeFileSync(path, withJsExtensions(text)),
      undefined,
      true,
    );
    problems.push(...diagnostics);
  }
  if (problems.length > 0) {
    throw new Error(
      ts.formatDiagnostics(problems, {
        getCanonicalFileName: (path) => path,
        getCurrentDirectory: () => root,
        getNewLine: () => "\n",
      }),
    );
  }
}

/**
 * Sources import `./x.ts`; published declarations must say `./x.js`, and the compiler leaves them as they are.
 * @param {string} text
 */
function withJsExtensions(text) {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  let result = text;
  for (const { fileName, pos, end } of [...importedFiles].reverse()) {
    if (!fileName.startsWith(".") || !fileName.endsWith(".ts")) continue;
    const renamed = result.slice(pos, end + 1).replace(/\.ts(["']?)$/, ".js$1");
    result = result.slice(0, pos) + renamed + result.slice(end + 1);
  }
  return result;
}

/**
 * Builds the packages whose sources have changed since they were last built.
 * @param {{ force?: boolean }} [options] force: build all of them
 */
export async function buildWorkspace({ force = false } = {}) {
  const common = ["scripts/build.mjs", "scripts/workspace.mjs", "tsconfig.base.json", "pnpm-lock.yaml"];
  const startedAt = performance.now();
  const stale = packageFolders()
    .map((folder) => ({ folder, name: basename(folder), manifest: readManifest(folder) }))
    .filter(({ manifest }) => entries(manifest).sources.length > 0)
    .map((item) => {
      const inputs = [...filesBelow(join(item.folder, "src")), join(item.folder, "package.json")];
      return { ...item, wanted: digest([...common.map((path) => join(root, path)), ...inputs]) };
    })
    .filter(
      ({ folder, name, wanted }) => force || readStamp(`build-${name}`) !== wanted || !existsSync(join(folder, "dist")),
    );
  if (stale.length === 0) return;

  console.log(`setup: building ${stale.map(({ name }) => name).join(", ")}`);
  for (const { folder } of stale) rmSync(join(folder, "dist"), { recursive: true, force: true });
  await Promise.all(
    stale.map(async ({ folder, manifest, name, wanted }) => {
      await bundle(folder, manifest);
      declare(folder);
      writeStamp(`build-${name}`, wanted);
    }),
  );
  console.log(`setup: built in ${secondsSince(startedAt)}`);
}
