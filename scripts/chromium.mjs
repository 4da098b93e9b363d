// The Chromium that the browser tests run in: where it is, and, for the set-up, how it gets there.
import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { aptInstall } from "./apt.mjs";

export const chromiumRemedy =
  "Install Chromium or Google Chrome, or set BANACH_CHROMIUM to its executable. Debian: apt-get install chromium; " +
  "macOS: brew install --cask chromium; Windows: winget install Google.Chrome. `npm run check` needs none.";

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @returns {string[]} where an installer usually puts it, the likeliest first */
function usualPlaces() {
  const env = process.env;
  if (process.platform === "darwin") {
    const apps = ["Chromium", "Google Chrome", "Google Chrome for Testing", "Microsoft Edge"];
    return ["/Applications", join(env["HOME"] ?? "", "Applications")].flatMap((folder) =>
      apps.map((app) => join(folder, `${app}.app`, "Contents", "MacOS", app)),
    );
  }
  if (process.platform === "win32") {
    const programs = [
      ["Google", "Chrome", "Application", "chrome.exe"],
      ["Chromium", "Application", "chrome.exe"],
      ["Microsoft", "Edge", "Application", "msedge.exe"],
    ];
    return [env["PROGRAMFILES"], env["PROGRAMFILES(X86)"], env["LOCALAPPDATA"]]
      .filter((folder) => folder !== undefined)
      .flatMap((folder) => programs.map((program) => join(folder, ...program)));
  }
  return ["/snap/bin/chromium", "/opt/google/chrome/chrome"];
}

/** @returns {string[]} every executable with a name that Chromium goes by, in the order of the search path */
function inSearchPath() {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"].flatMap((name) =>
    folders.map((folder) => join(folder, name + suffix)),
  );
}

/**
 * What is wrong with an executable, or undefined where it says its version. Some are there and do not run: a script that
 * asks for a snap, a program whose libraries are missing.
 * @param {string} path
 */
function problemOf(path) {
  if (!isExecutable(path)) return "is no executable file";
  // There, the option opens a window.
  if (process.platform === "win32") return undefined;
  const { status, stdout, stderr, error } = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 60_000 });
  if (status === 0 && /\d+\.\d+/.test(stdout)) return undefined;
  const said = `${stderr}${stdout}`.trim().split("\n")[0];
  return `does not run: ${error?.message ?? (said || `exit code ${String(status)}`)}`;
}

/** @returns {string[]} every place where a Chromium may be, the likeliest first */
export function chromiumPlaces() {
  const named = process.env["BANACH_CHROMIUM"];
  return [...(named ? [named] : []), ...inSearchPath(), ...usualPlaces()];
}

/**
 * Looks at BANACH_CHROMIUM, or else in the search path and the usual places, and takes the first that runs.
 * @returns {{ path: string } | { problem: string }}
 */
function findChromium() {
  const named = process.env["BANACH_CHROMIUM"];
  if (named !== undefined && named !== "") {
    const problem = problemOf(named);
    return problem === undefined ? { path: named } : { problem: `BANACH_CHROMIUM=${named} ${problem}.` };
  }
  const path = [...inSearchPath(), ...usualPlaces()].find((place) => problemOf(place) === undefined);
  return path === undefined ? { problem: "the browser tests need Chromium, and none was found." } : { path };
}

/**
 * @returns {string} the executable
 * @throws {Error} that says what to do
 */
export function requireChromium() {
  const found = findChromium();
  if ("path" in found) return found.path;
  throw new Error(`${found.problem}\n${chromiumRemedy}`);
}

/**
 * Starts a browser as the tests do, and ends it.
 * @param {string} path
 * @returns {Promise<string | undefined>} what went wrong
 */
async function startProblem(path) {
  const { chromium } = await import("playwright");
  try {
    const browser = await chromium.launch({ executablePath: path });
    await browser.close();
    return undefined;
  } catch (error) {
    // Playwright says everything twice.
    console.error(String(error).split("\nCall log:")[0]);
    return `${path} does not start; the lines above say why.`;
  }
}

/**
 * Makes sure that there is a Chromium that starts: where there is none, installs Debian's with apt-get if that needs no
 * password. The dependencies have to be installed.
 * @returns {Promise<string | undefined>} the problem that is left
 */
export async function ensureChromium() {
  let found = findChromium();
  if ("path" in found) return startProblem(found.path);
  // Who names an executable wants that one.
  if (process.env["BANACH_CHROMIUM"]) return found.problem;
  const installed = await aptInstall(["chromium"], "the browser tests");
  if (installed === undefined) return found.problem;
  if (!installed) return "apt-get could not install Chromium; the lines above say why.";
  found = findChromium();
  return "path" in found ? startProblem(found.path) : "the Chromium that apt-get installed does not run.";
}
