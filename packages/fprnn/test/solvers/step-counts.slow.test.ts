/** WebGPU stops where the float32 reference stops, but where rounding decides. */
import type { Device } from "@banach/autograd";
import { webgpu } from "@banach/backend-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { announce, compareOn, SEEDS, STEP_CASES } from "./step-cases.ts";
import type { StepCase, StepReport } from "./step-counts.ts";

const PLACES: Readonly<Record<string, Parameters<typeof webgpu>[0]>> = {
  webgpu: {},
  "webgpu for a GPU of the least limits": { tuning: "hardware", limits: {}, subgroups: false },
  "webgpu without fused loops": { fuseLoops: false },
};

/**
 * Strict, as a list of known divergences is: what is mended has to leave it. The shader of a loop whose rows stay in registers
 * stores in several blocks and names an address in one of them for all: "unresolved value".
 */
const isRefused = (place: string, { name }: StepCase): boolean =>
  name === "FP-Mamba by anderson" && place !== "webgpu without fused loops";

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

  for (const step of STEP_CASES) {
    const test = isRefused(place, step) ? it.fails : it;
    test(`${step.name}: those of the reference`, async () => {
      const report = await compareOn(device, step);
      expect(report.sequences).toBe(SEEDS.length * step.shape[0]);
      reports.push(report);
    });
  }
});
