// The Vulkan driver that Dawn, which is WebGPU in Node, computes on under Linux: the machine's own where Dawn can use it,
// or else SwiftShader, a driver in software that comes with Chromium. On macOS and Windows Dawn needs none.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { aptInstall } from "./apt.mjs";
import { chromiumPlaces } from "./chromium.mjs";
import { digest, readStamp, root, writeStamp } from "./workspace.mjs";

/**
 * What to set so that Dawn finds an adapter, and which that is; or what is wrong.
 * @typedef {{ adapter: string, env: Record<string, string> } | { problem: string }} Driver
 */

const linux = process.platform === "linux";
/** The package whose dependency Dawn is. */
const backend = join(root, "packages", "backend-webgpu");

export const webgpuRemedy =
  (linux
    ? "Install the Vulkan loader, and a driver that Dawn can use or Chromium, which brings one. Debian: apt-get install " +
      "libvulkan1 chromium; Fedora: dnf install vulkan-loader chromium. VK_ICD_FILENAMES=<json file> names a driver. "
    : "Dawn needs Metal on macOS and Direct3D 12 on Windows: update the system, or use a machine that has it. ") +
  "`npm start` needs none.";

/** @returns {string | undefined} the user's setting that names drivers */
const named = () => ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].find((name) => process.env[name]);

/** @returns {string[]} the files that tell the loader of the machine's own drivers, where it usually looks */
function ownDrivers() {
  const env = process.env;
  const list = (/** @type {string} */ name, /** @type {string} */ otherwise) =>
    (env[name] || otherwise).split(delimiter);
  return [
    ...list("XDG_CONFIG_HOME", join(homedir(), ".config")),
    ...list("XDG_CONFIG_DIRS", "/etc/xdg"),
    ...["/usr/local/etc", "/etc"],
    ...list("XDG_DATA_HOME", join(homedir(), ".local", "share")),
    ...list("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
  ]
    .map((folder) => join(folder, "vulkan", "icd.d"))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith(".json"));
}

/** @returns {string[]} the file of each SwiftShader that lies beside a Chromium */
function swiftShaders() {
  const folders = [
    ...["/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium", "/usr/lib64/chromium-browser"],
    ...["/opt/google/chrome", "/opt/microsoft/msedge", "/snap/chromium/current/usr/lib/chromium-browser"],
    // Often the executable is a link into the folder.
    ...chromiumPlaces()
      .filter((path) => existsSync(path))
      .map((path) => dirname(realpathSync(path))),
  ];
  const files = folders.map((folder) => join(folder, "vk_swiftshader_icd.json"));
  return [...new Set(files)].filter((path) => existsSync(path));
}

/** Run in a process of its own, in the backend's folder: a driver may crash, and the loader reads the variables once. */
const ask = `
  const { create } = await import("webgpu");
  const gpu = create(${JSON.stringify(linux ? ["backend=vulkan"] : [])});
  const adapter = await gpu.requestAdapter();
  if (adapter === null) process.exit(3);
  const device = await adapter.requestDevice();
  device.destroy();
  console.log(adapter.info.description || adapter.info.device || adapter.info.vendor || "a nameless adapter");
  process.exit(0);
`;

/**
 * Asks Dawn for an adapter and a device.
 * @param {Record<string, string>} env
 * @returns {Driver}
 */
function tryDawn(env) {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, ["--input-type=module", "--eval", ask], {
    cwd: backend,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  if (status === 0) return { adapter: stdout.trim().split("\n").at(-1) ?? "", env };
  const said = stderr.split("\n").find((line) => /warning:|error/i.test(line)) ?? "";
  return { problem: error?.message ?? (said.replace(/^warning: */i, "").trim() || "no adapter") };
}

/**
 * Tries the driver that the user names, or else the machine's own and then each SwiftShader.
 * @returns {Driver}
 */
function findDriver() {
  const runtimeFolder = process.env["XDG_RUNTIME_DIR"] ? {} : { XDG_RUNTIME_DIR: tmpdir() };
  const user = named();
  /** @type {[string, Record<string, string>][]} */
  let ways = [["this system", {}]];
  if (linux && user !== undefined) ways = [[`${user}=${String(process.env[user])}`, runtimeFolder]];
  else if (linux) {
    ways = [
      [ownDrivers().length > 0 ? "the machine's own drivers" : "no driver of the machine's own", runtimeFolder],
      ...swiftShaders().map(
        (path) => /** @type {typeof ways[number]} */ ([path, { ...runtimeFolder, VK_ICD_FILENAMES: path }]),
      ),
    ];
  }
  const problems = [];
  for (const [name, env] of ways) {
    const result = tryDawn(env);
    if ("adapter" in result) return result;
    problems.push(`\n  with ${name}: ${result.problem}`);
  }
  return { problem: `WebGPU in Node (Dawn) gets no adapter:${problems.join("")}` };
}

/** @returns {string} changes with everything by which a driver is found */
function inputs() {
  const loaders = ["/usr/lib64", "/usr/lib", `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`]
    .map((folder) => join(folder, "libvulkan.so.1"))
    .filter((path) => existsSync(path));
  const files = [join(backend, "node_modules", "webgpu", "package.json"), ...ownDrivers(), ...swiftShaders()];
  const settings = ["XDG_RUNTIME_DIR", "LD_LIBRARY_PATH"];
  return digest(files.filter((path) => existsSync(path)).sort(), [
    ...[process.platform, process.arch, process.version],
    ...loaders.map((path) => `${path} ${String(statSync(path).mtimeMs)}`),
    ...settings.map((name) => `${name}=${process.env[name] ?? ""}`),
  ]);
}

/**
 * Finds the driver, and remembers it until something changes by which it is found.
 * @param {{ afresh: boolean }} options
 * @returns {Driver}
 */
function driver({ afresh }) {
  // Who names a driver, as this module does for the processes below, has it tried each time.
  if (named() !== undefined) return findDriver();
  const key = inputs();
  const [stampKey, stampDriver] = readStamp("webgpu")?.split("\n") ?? [];
  if (!afresh && stampKey === key && stampDriver !== undefined) return /** @type {Driver} */ (JSON.parse(stampDriver));
  const found = findDriver();
  if ("adapter" in found) writeStamp("webgpu", `${key}\n${JSON.stringify(found)}`);
  return found;
}

/**
 * Makes Dawn find an adapter in this process, where it is not yet in use, and in those that this process starts. It takes
 * milliseconds, and a fraction of a second when the machine's drivers have changed.
 * @returns {string | undefined} the problem, and what to do
 */
export function useVulkanDriver() {
  const found = driver({ afresh: false });
  if ("problem" in found) {
    const installs = linux && named() === undefined;
    const setUp = installs ? "`npm run setup -- --with-webgpu` does this where apt-get needs no password. " : "";
    return `${found.problem}\n${setUp}${webgpuRemedy}`;
  }
  Object.assign(process.env, found.env);
  return undefined;
}

/**
 * Makes sure that Dawn gets an adapter and a device: where it does not, installs the Vulkan loader and, unless one is
 * there, Chromium for its driver with apt-get, if that needs no password. The dependencies have to be installed.
 * @returns {Promise<string | undefined>} the problem that is left
 */
export async function ensureWebgpu() {
  let found = driver({ afresh: true });
  if ("adapter" in found) return undefined;
  // Who names a driver wants that one.
  if (!linux || named() !== undefined) return found.problem;
  const packages = swiftShaders().length > 0 ? ["libvulkan1"] : ["libvulkan1", "chromium"];
  const installed = await aptInstall(packages, "WebGPU in Node");
  if (installed === undefined) return found.problem;
  if (!installed) return `apt-get could not install ${packages.join(" and ")}; the lines above say why.`;
  found = driver({ afresh: true });
  if ("problem" in found) return found.problem;
  console.log(`setup: WebGPU in Node computes on ${found.adapter}`);
  return undefined;
}
