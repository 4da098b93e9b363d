/** Subgroups are used where the device has them and its invocations are in order, and never needed. */
import { key, makeGraph, random, type Tracer } from "@banach/autograd";
import { optimize } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { SOFTWARE } from "../../src/codegen/shader-writer.ts";
import { subgroupLanes } from "../../src/platform/subgroups.ts";
import { limitsOf, shadersOf } from "../codegen/shaders.ts";
import { strangeDevice } from "../strange-device.ts";
import { FakeDevice, overridden } from "./fake-device.ts";

/** What no scope of a device captures. */
function uncaptured(device: GPUDevice): readonly string[] {
  const messages: string[] = [];
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    messages.push(event.error.message);
  });
  return messages;
}

/** SwiftShader has them, as GPUs do. */
it.each([{}, { reversed: true }])("are as large as the device says: %o", async (how) => {
  const device = await strangeDevice({ ...how, subgroups: true });
  const { subgroupMinSize = 1 } = device.adapterInfo;
  expect(device.features.has("subgroups")).toBe(true);
  expect(subgroupMinSize).toBeGreaterThan(1);
  expect(await subgroupLanes(device, 256)).toBe(subgroupMinSize);
  expect(await subgroupLanes(device, 2)).toBe(2);
  device.destroy();
});

it("are not used where a device was not asked for them", async () => {
  const device = await strangeDevice({});
  expect(await subgroupLanes(device, 256)).toBe(1);
  device.destroy();
});

it("are not used where neighbours are not together", async () => {
  const device = await strangeDevice({ scattered: true, subgroups: true });
  device.pushErrorScope("validation");
  expect(await subgroupLanes(device, 256)).toBe(1);
  expect(await device.popErrorScope()).toBeNull();
  device.destroy();
});

it("leave the errors of whom a device belongs to alone while it is asked", async () => {
  const device = await strangeDevice({ subgroups: true });
  const messages = uncaptured(device);
  const asking = subgroupLanes(device, 256);
  const invalid = { size: 4, usage: 0 };
  device.createBuffer({ ...invalid, label: "in no scope" });
  device.pushErrorScope("validation");
  device.createBuffer({ ...invalid, label: "in a scope" });
  expect(await asking).toBeGreaterThan(1);
  expect((await device.popErrorScope())?.message).toMatch("in a scope");
  await device.queue.onSubmittedWorkDone();
  expect(messages).toEqual([expect.stringContaining("in no scope")]);
  device.destroy();
});

it.each(["createBuffer", "createShaderModule", "createComputePipelineAsync", "createCommandEncoder"] as const)(
  "are not used where %s fails",
  async (name) => {
    const device = await strangeDevice({ subgroups: true });
    const fail = (): never => {
      throw new Error("the planted fault");
    };
    expect(await subgroupLanes(overridden(device, { [name]: fail }), 256)).toBe(1);
    device.destroy();
  },
);

it("are not used where there is no memory to ask", async () => {
  const fake = new FakeDevice(await strangeDevice({ subgroups: true }));
  const messages = uncaptured(fake.device);
  fake.refused = () => true;
  expect(await subgroupLanes(fake.device, 256)).toBe(1);
  expect(messages).toEqual([]);
  fake.real.destroy();
});

it.each([
  [1, 64, "with barriers alone"],
  [4, 64, "with both"],
  [64, 64, "without a barrier"],
])("sums of %i neighbours by subgroup, of %i: %s", (subgroup, terms) => {
  const sum = optimize(makeGraph((x: Tracer) => x.sum({ axes: 1 }), random.normal(key(0), [1, 64 * terms])));
  const [shader] = shadersOf(sum, { ...limitsOf(SOFTWARE), invocations: 64, subgroup });
  const { code } = shader!;
  const count = (pattern: RegExp): number => code.match(pattern)?.length ?? 0;
  expect(count(/subgroupShuffleXor/g)).toBe(Math.log2(subgroup));
  expect(count(/workgroupBarrier/g)).toBe(Math.log2(64 / subgroup));
  expect(code.startsWith("enable subgroups;")).toBe(subgroup > 1);
});
