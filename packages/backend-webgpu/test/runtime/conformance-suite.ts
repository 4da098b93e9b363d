/** The conformance suite on every device that a host can open, for the test files of Node and of pages. */
import { conformance, wgslBudgets } from "@banach/autograd/testing";
import { describe, it } from "vitest";
import { webgpuBackend, type WebGpuOptions } from "../../src/index.ts";

/** As the adapter is and as large as it allows; and with shaders for a GPU within what any device has. */
const devices: Readonly<Record<string, WebGpuOptions>> = {
  "limits of the adapter": {},
  "limits of any device, shaders for a GPU": { limits: {}, subgroups: false, tuning: "hardware" },
};

/** Declares the tests. */
export function testConformance(host: "node" | "page"): void {
  for (const [name, options] of Object.entries(devices)) {
    const suite = conformance(() => webgpuBackend(options), { budgets: wgslBudgets });
    describe(`conformance of webgpu in a ${host}, ${name}`, () => {
      for (const { name, run } of suite.cases) it(name, run);
    });
  }
}
