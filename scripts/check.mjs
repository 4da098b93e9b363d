// Runs the checks and shows them one by one; the tests come last, so that their summary closes the output.
// Usage: check.mjs [--all] [format | lint | types | golden | tests ...]; --all adds the golden run and the slow tests.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { packageFolders, root, runProgram, secondsSince, toolPath } from "./workspace.mjs";

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {string} label
 * @property {readonly string[]} args for Node
 */

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major === 20 && minor < 19) {
  console.error(`check: the test tools need Node 20.19 or newer, and this is Node ${process.versions.node}.`);
  console.error("       Update Node and run the command again. (`npm start` works with any Node 20.)");
  process.exit(1);
}

const all = process.argv.includes("--all");
const cache = join(root, "node_modules", ".cache");
/**
 * The inner loop lints what has changed. A rule that asks for types may miss what a change elsewhere did to a file, so the
 * whole run starts afresh.
 */
const lintCache = all ? [] : ["--cache", "--cache-strategy", "content", "--cache-location", join(cache, "eslint")];
/** The output passes through this process, so the tools cannot see the terminal. */
const colour = process.stdout.isTTY;
const tsc = toolPath("typescript", "tsc");
/**
 * @param {string} name
 * @param {string} project
 * @returns {Check}
 */
const types = (name, project) => ({
  name: "types",
  label: `types of ${name}`,
  args: [
    tsc,
    "-p",
    project,
    "--incremental",
    "--tsBuildInfoFile",
    join(cache, "tsc", `${name}.tsbuildinfo`),
    ...(colour ? ["--pretty"] : []),
  ],
});

/** @returns {Check[]} longest first, so that two at a time finish soonest */
function checks() {
  return [
    {
      name: "lint",
      label: "lint",
      args: [toolPath("eslint"), ".", "--max-warnings", "0", colour ? "--color" : "--no-color", ...lintCache],
    },
    types("workspace", "tsconfig.json"),
    ...packageFolders()
      .map((folder) => ({ name: basename(folder), project: join(folder, "tsconfig.json") }))
      .filter(({ project }) => existsSync(project))
      .map(({ name, project }) => types(name, project)),
    {
      name: "format",
      label: "format",
      args: [toolPath("prettier"), colour ? "--color" : "--no-color", "--check", ".", "--log-level", "warn", "--cache"],
    },
    { name: "golden", label: "golden", args: ["scripts/run-ts.mjs", "packages/fprnn/test/golden-cli.ts"] },
  ];
}

/**
 * @param {Check} check
 * @returns {Promise<string | undefined>} the label of the check if it failed
 */
async function runCheck({ name, label, args }) {
  const startedAt = performance.now();
  const { code, output } = await runProgram(process.execPath, args, { capture: true });
  console.log(`${code === 0 ? "✓" : "✗"} ${label} (${secondsSince(startedAt)})`);
  if ((code !== 0 || name === "golden") && output.trim() !== "") console.log(`\n${output.trimEnd()}\n`);
  if (code !== 0 && name === "format") console.log("  `npm run format` rewrites these files.\n");
  return code === 0 ? undefined : label;
}

const names = process.argv.slice(2).filter((arg) => arg !== "--all");
const known = ["format", "lint", "types", "golden", "tests"];
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`check: unknown check ${unknown.join(" ")}; the checks are ${known.join(", ")}`);
  process.exit(2);
}
const defaults = known.filter((name) => all || name !== "golden");
const chosen = new Set(names.length > 0 ? names : defaults);

/** @type {string[]} */
const failed = [];
const queue = checks().filter(({ name }) => chosen.has(name));
const worker = async () => {
  for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
    const failure = await runCheck(check);
    if (failure !== undefined) failed.push(failure);
  }
};
await Promise.all([worker(), worker()]);

if (chosen.has("tests")) {
  if (failed.length > 0) console.log(`\n✗ failed before the tests: ${failed.join(", ")}`);
  const { code } = await runProgram(process.execPath, [toolPath("vitest"), "run"], {
    env: all || names.length > 0 ? {} : { BANACH_SKIP_SLOW: "1" },
  });
  if (code !== 0) failed.push("tests");
}
if (failed.length > 0) console.error(`✗ failed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;
