// What the suite of WebGPU needs from the machine: a driver for Node, or a bundle for pages and a browser.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
// The scripts belong to the workspace, which is no package that could be depended on.
/* eslint-disable import-x/no-relative-packages */
import { requireChromium } from "../scripts/chromium.mjs";
import { useVulkanDriver } from "../scripts/vulkan.mjs";
/* eslint-enable import-x/no-relative-packages */

export { useVulkanDriver };

const inThePlaceOfNode = "exports.setImmediate = () => new Promise((resolve) => setTimeout(resolve));";

/**
 * The program of the page. Modules of Node, whose files only the command line of @banach/tasks needs, are empty there but
 * for what training waits with.
 * @returns {Promise<Uint8Array>}
 */
export async function bundlePage() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("src/webgpu/page.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["@banach/source"],
    mainFields: ["module", "main"],
    plugins: [
      {
        name: "node-left-out",
        setup: (bundle) => {
          bundle.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "empty" }));
          bundle.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: inThePlaceOfNode }));
        },
      },
    ],
    logLevel: "error",
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/**
 * Opens a page in Chromium, which computes on the machine's GPU or, where there is none, in software.
 * @param {string} url
 * @returns {Promise<() => Promise<void>>} closes it
 */
export async function openChromium(url) {
  const { chromium } = await import("playwright");
  const args = [
    "--enable-unsafe-webgpu",
    // Timestamps to the nanosecond, and not to the 0.1 ms that pages are given.
    "--disable-dawn-features=timestamp_quantization",
  ];
  const browser = await chromium.launch({ executablePath: requireChromium(), args });
  const page = await browser.newPage();
  page.on("pageerror", (error) => {
    process.stderr.write(`on the page: ${String(error)}\n`);
  });
  await page.goto(url);
  return () => browser.close();
}
