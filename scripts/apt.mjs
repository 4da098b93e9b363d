// How the set-up installs Debian packages that some tests need, where apt-get needs no password.
import { spawnSync } from "node:child_process";
import { runProgram, secondsSince } from "./workspace.mjs";

/** @returns {string[] | undefined} how this user calls apt-get without being asked anything, if at all */
function aptGet() {
  const succeeds = (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
    spawnSync(command, args, { stdio: "ignore" }).status === 0;
  if (process.platform !== "linux" || !succeeds("apt-get", "--version")) return undefined;
  const quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"];
  if (process.getuid?.() === 0) return quiet;
  return succeeds("sudo", "-n", "true") ? ["sudo", "-n", ...quiet] : undefined;
}

/**
 * Installs packages and says so; where that fails, shows what apt-get says.
 * @param {readonly string[]} packages
 * @param {string} purpose
 * @returns {Promise<boolean | undefined>} whether they are installed; undefined where apt-get cannot be used
 */
export async function aptInstall(packages, purpose) {
  const apt = aptGet();
  if (apt === undefined) return undefined;
  const [command = "", ...prefix] = apt;
  const run = (/** @type {string[]} */ ...args) => runProgram(command, [...prefix, ...args], { capture: true });
  const install = () => run("install", "--yes", "--no-install-recommends", ...packages);

  const names = packages.join(" and ");
  console.log(`setup: installing ${names} with apt-get, for ${purpose}`);
  const startedAt = performance.now();
  let { code, output } = await install();
  if (code !== 0) {
    // The lists of packages are missing, or name files that are gone.
    const update = await run("update");
    ({ code, output } = await install());
    output = `${update.output}${output}`;
  }
  if (code === 0) console.log(`setup: ${names} installed in ${secondsSince(startedAt)}`);
  else console.error(output.trimEnd());
  return code === 0;
}
