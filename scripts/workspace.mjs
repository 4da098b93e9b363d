// What the other scripts share: where the workspace is, which packages it has, and how to run a tool in it.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @typedef {string | { readonly [key: string]: Exports }} Exports
 *
 * @typedef {object} Manifest
 * @property {string} [name]
 * @property {string} [packageManager]
 * @property {Record<string, string>} [engines]
 * @property {Record<string, Exports>} [exports]
 * @property {string | Record<string, string>} [bin]
 */

/**
 * @param {string} folder absolute path
 * @returns {Manifest}
 */
export function readManifest(folder) {
  return /** @type {Manifest} */ (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
}

/** @returns {string[]} absolute folders of the workspace's packages, in a fixed order */
export function packageFolders() {
  const packages = readdirSync(join(root, "packages"))
    .sort()
    .map((name) => join(root, "packages", name));
  return [...packages, join(root, "bench")].filter((folder) => existsSync(join(folder, "package.json")));
}

/**
 * Every file below a folder, in a fixed order.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    });
}

/**
 * A digest of the names and contents of files, and of anything else the result depends on.
 * @param {readonly string[]} files
 * @param {readonly string[]} [extra]
 */
export function digest(files, extra = []) {
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  for (const text of extra) hash.update(text).update("\0");
  return hash.digest("hex");
}

/** @param {string} name */
const stampFile = (name) => join(root, "node_modules", ".banach", name);

/**
 * @param {string} name
 * @returns {string | undefined} the digest that the last finished run left
 */
export function readStamp(name) {
  return existsSync(stampFile(name)) ? readFileSync(stampFile(name), "utf8") : undefined;
}

/**
 * @param {string} name
 * @param {string} value
 */
export function writeStamp(name, value) {
  mkdirSync(dirname(stampFile(name)), { recursive: true });
  writeFileSync(stampFile(name), value);
}

/**
 * The script behind a tool's command, so that it runs under this Node without a shell.
 * @param {string} tool a dev dependency of the root
 * @param {string} [command] when the command is not named like the package
 */
export function toolPath(tool, command = tool) {
  const folder = join(root, "node_modules", tool);
  const { bin } = readManifest(folder);
  const path = typeof bin === "string" ? bin : bin?.[command];
  if (path === undefined) throw new Error(`${tool} has no command ${command}`);
  return join(folder, path);
}

/**
 * Runs a program to its end.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ capture?: boolean, env?: Record<string, string>, shell?: boolean }} [options]
 *   capture: keep the output instead of showing it
 * @returns {Promise<{ code: number, output: string }>}
 */
export function runProgram(command, args, { capture = false, env = {}, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      shell,
      stdio: capture ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
    });
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout?.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.stderr?.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/**
 * @param {number} startedAt from performance.now()
 */
export const secondsSince = (startedAt) => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
