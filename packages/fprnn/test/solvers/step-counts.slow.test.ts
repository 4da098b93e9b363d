/** WebGPU stops where the float32 reference stops, but where rounding decides. */
import type { Device } from "@banach/autograd";
import { webgpu } from "@banach/backend-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { announce, compareOn, SEEDS, STEP_CASES } from "./step-cases.ts";
import type { StepReport } from "./step-counts.ts";

const PLACES: Readonly<Record<string, Parameters<typeof webgpu>[0]>> = {
  webgpu: {},
  "webgpu for a GPU of the least limits": { tuning: "hardware", limits: {}, subgroups: false },
  "webgpu without fused loops": { fuseLoops: false },
};

describe.each(Object.entries(PLACES))("step counts on %s", (place, options) => {
  let device: Device;
  const reports: StepReport[] = [];
  beforeAll(async () => {
    device = await webgpu(options);
  });
  afterAll(async ({}, { file }) => {
    announce(file, place, reports);
    await device[Symbol.asyncDispose]();
  });

  // Compiling takes long, and a few cases show what differs from place to place.
  const cases = place === "webgpu" ? STEP_CASES : STEP_CASES.filter((_, i) => i % 3 === 0);
  for (const step of cases) {
    it(`${step.name}: those of the reference`, async () => {
      const report = await compareOn(device, step);
      expect(report.sequences).toBe(SEEDS.length * step.shape[0]);
      reports.push(report);
    });
  }
});
