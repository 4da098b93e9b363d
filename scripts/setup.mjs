// Makes a fresh clone ready with nothing but Node and npm: installs with the pinned pnpm, then builds. What is already
// done is skipped, by digests of the inputs kept in node_modules/.banach. Options: --no-build, --force-build,
// --without-bench, which leaves out the other frameworks that only the bench measures against (about 200 MB), and two that
// see to what some tests need: --with-chromium, the browser they run in, and --with-webgpu, a driver for WebGPU in Node.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { chromiumRemedy, ensureChromium } from "./chromium.mjs";
import { ensureWebgpu, webgpuRemedy } from "./vulkan.mjs";
import {
  digest,
  packageFolders,
  readManifest,
  readStamp,
  root,
  runProgram,
  secondsSince,
  writeStamp,
} from "./workspace.mjs";

/**
 * Ends the run with a message that says what to do.
 * @param {string} problem
 * @param {string} remedy
 * @returns {never}
 */
function fail(problem, remedy) {
  console.error(`\nsetup: ${problem}\n       ${remedy}\n`);
  process.exit(1);
}

function checkNode() {
  const wanted = Number(/\d+/.exec(readManifest(root).engines?.["node"] ?? "20")?.[0]);
  const major = Number(process.versions.node.split(".")[0]);
  if (major < wanted) {
    fail(
      `Node ${String(wanted)} or newer is needed, and this is Node ${process.versions.node}.`,
      "Install a current Node (https://nodejs.org, or your version manager) and run the command again.",
    );
  }
}

/** @param {boolean} withBench */
async function install(withBench) {
  const manifests = [root, ...packageFolders()].map((folder) => join(folder, "package.json"));
  const inputs = [join(root, "pnpm-lock.yaml"), join(root, "pnpm-workspace.yaml"), ...manifests];
  const wanted = digest(inputs, [process.platform, process.arch, process.versions.modules]);
  // What is installed with the bench serves without it too.
  const enough = withBench ? [wanted] : [wanted, `${wanted} without bench`];
  const done = readStamp("install");
  if (done !== undefined && enough.includes(done) && existsSync(join(root, "node_modules", ".modules.yaml"))) return;

  const pnpm = readManifest(root).packageManager?.split("+")[0] ?? "pnpm@10";
  console.log(`setup: installing the dependencies with ${pnpm}`);
  const startedAt = performance.now();
  const args = ["--yes", pnpm, "install", "--frozen-lockfile", "--config.confirmModulesPurge=false"];
  if (!withBench) args.push("--filter=!@banach/bench");
  const { code, output } = await runProgram("npx", args, {
    capture: true,
    shell: process.platform === "win32",
    env: { CI: "true" },
  }).catch((/** @type {unknown} */ error) => ({ code: 1, output: String(error) }));
  if (code !== 0) {
    console.error(output.trimEnd());
    fail(
      "the dependencies could not be installed; the lines above say why.",
      output.includes("OUTDATED_LOCKFILE")
        ? `pnpm-lock.yaml is behind a package.json: run \`npx ${pnpm} install\` and commit the lockfile.`
        : "Check that the npm registry can be reached (`npm ping`) and the disk has room, then run the command again.",
    );
  }
  writeStamp("install", withBench ? wanted : `${wanted} without bench`);
  console.log(`setup: dependencies installed in ${secondsSince(startedAt)}`);
}

/** @param {boolean} force */
async function build(force) {
  const { buildWorkspace } = await import("./build.mjs");
  try {
    await buildWorkspace({ force });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    fail("the build failed; the lines above say where.", "`npm run types` shows type errors. Fix, then run it again.");
  }
}

checkNode();
const options = process.argv.slice(2);
const valid = ["--no-build", "--force-build", "--without-bench", "--with-chromium", "--with-webgpu"];
const unknown = options.filter((option) => !valid.includes(option));
if (unknown.length > 0) fail(`unknown option ${unknown.join(" ")}.`, `Options: ${valid.join(", ")}.`);
await install(!options.includes("--without-bench"));
if (options.includes("--with-chromium")) {
  const problem = await ensureChromium();
  if (problem !== undefined) fail(problem, chromiumRemedy);
}
if (options.includes("--with-webgpu")) {
  const problem = await ensureWebgpu();
  if (problem !== undefined) fail(problem, webgpuRemedy);
}
if (!options.includes("--no-build")) await build(options.includes("--force-build"));
