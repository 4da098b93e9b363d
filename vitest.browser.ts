// The vitest projects whose tests run in a page of Chromium: `packages/*/test/**/*.browser.test.ts`.
import { playwright } from "@vitest/browser-playwright";
import type { TestProjectInlineConfiguration } from "vitest/config";
import { requireChromium } from "./scripts/chromium.mjs";

declare module "vitest" {
  interface ProvidedContext {
    /** What `crossOriginIsolated` has to be in the page: true is what shared memory, and so threads, need. */
    isolated: boolean;
  }
}

/** Playwright's, which looks for Chromium when a test wants a page: a run for Node alone needs none. */
const provider: ReturnType<typeof playwright> = {
  ...playwright(),
  providerFactory: (project) => {
    // WebGPU also where Chromium does not trust the graphics or has none: then it computes on SwiftShader, whose driver takes
    // seconds to compile what sets workgroup memory to zero itself.
    const zeros = "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension";
    const args = ["--enable-unsafe-webgpu", zeros];
    const launchOptions = { executablePath: requireChromium(), args };
    return playwright({ launchOptions }).providerFactory(project);
  },
};

/** The page that runs the tests is a frame in another; the headers go with both, and with every script. */
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const project = (name: string, isolated: boolean): TestProjectInlineConfiguration => ({
  extends: true,
  server: { headers: isolated ? isolation : {} },
  // Prepared before the first page asks for it: what is found later makes Vite load the page anew. Dawn is for Node alone.
  optimizeDeps: { include: ["fast-check"], exclude: ["webgpu"] },
  test: {
    name,
    testTimeout: 60_000,
    include: ["packages/*/test/**/*.browser.test.ts"],
    provide: { isolated },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider,
      instances: [{ browser: "chromium" }],
    },
  },
});

export const browserProjects: readonly TestProjectInlineConfiguration[] = [
  project("browser", false),
  project("browser-isolated", true),
];
