// One vitest project per folder of packages/, and one for the code in docs/. A new package needs no line here.
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defaultServerConditions } from "vite";
import { configDefaults, defineConfig } from "vitest/config";
import { useVulkanDriver } from "./scripts/vulkan.mjs";
import { browserProjects } from "./vitest.browser.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const packages = readdirSync(`${root}packages`).filter((name) => existsSync(`${root}packages/${name}/package.json`));

/** `*.slow.test.ts` files run in `npm test`; `npm run check` leaves them out. */
const skipSlow = process.env["BANACH_SKIP_SLOW"] === "1";
const exclude = [...configDefaults.exclude, "**/*.browser.test.ts", ...(skipSlow ? ["**/*.slow.test.ts"] : [])];

declare module "vitest" {
  interface ProvidedContext {
    /** Why tests that compute on WebGPU in Node cannot run, and what to do. */
    webgpuProblem: string | undefined;
  }
}

/** The workers inherit the driver that this sets in the environment. */
const webgpuProblem = useVulkanDriver();

const project = (name: string, include: string) => ({
  extends: true as const,
  // A test that hangs has to end; how long one takes is the machine's business, and may be six times as long on a busy one.
  test: {
    name,
    include: [include],
    exclude,
    testTimeout: 60_000,
    ...(name === "backend-webgpu" ? { setupFiles: [`${root}scripts/webgpu-tests.mjs`] } : {}),
  },
});

export default defineConfig({
  root,
  // Packages are tested from their sources, so that no build has to run first.
  resolve: { conditions: ["@banach/source", ...defaultClientConditions] },
  ssr: { resolve: { conditions: ["@banach/source", ...defaultServerConditions] } },
  // Node 20 has Symbol.dispose but not the `using` syntax.
  esbuild: { target: "node20" },
  test: {
    passWithNoTests: true,
    provide: { webgpuProblem },
    // Vitest leaves one core free by itself, which is half of a machine with two.
    maxWorkers: availableParallelism(),
    setupFiles: [`${root}packages/autograd/test/properties.ts`],
    reporters: ["default", `${root}packages/autograd/test/property-reporter.ts`, `${root}scripts/hang-reporter.mjs`],
    projects: [
      ...packages.map((name) => project(name, `packages/${name}/test/**/*.test.ts`)),
      project("docs", "docs/**/*.test.ts"),
      project("bench", "bench/test/**/*.test.ts"),
      ...(skipSlow ? [] : browserProjects),
    ],
  },
});
