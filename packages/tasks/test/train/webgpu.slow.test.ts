/** Training on WebGPU: the numbers of the other backends, the same bits each time, and what a lost device leaves of a run. */
import { BackendLostError, type Device } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { webgpu } from "@banach/backend-webgpu";
import { afterAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import type { TrainState } from "../../src/train/index.ts";
import { bitsOf, expectLosses, firstSteps, parity, SMALL_PLANS, type Trained, trainedOn } from "./first-steps.ts";

/** Programs of another length are compiled anew, which takes a driver in software a second or more for each. */
const TIMEOUT = { timeout: 600_000 };
const plan = SMALL_PLANS["parity by FP-RNN"]!;

/** Held for as long as the process runs: Dawn crashes when it is collected before its devices. */
const gpu = create([]);

describe("training on webgpu", async () => {
  const device: Device = await webgpu();
  afterAll(() => device[Symbol.asyncDispose]());

  test.each(Object.entries(SMALL_PLANS))(
    "%s: the losses of the reference, the same bits each time, and no more memory for it",
    TIMEOUT,
    async (_, small) => {
      const expected = await trainedOn(reference, small);
      const held: number[] = [];
      const onDevice = (): Promise<Trained> => firstSteps(device, small);
      const first = await onDevice();
      const { liveBytes, pooledBytes } = device.memory();
      held.push(liveBytes + pooledBytes);
      const second = await onDevice();
      held.push(device.memory().liveBytes + device.memory().pooledBytes);
      expectLosses(first, expected);
      expect([...first.iterations]).toEqual([...expected.iterations]);
      expect(second.losses).toEqual(first.losses);
      expect(bitsOf(second.result)).toEqual(bitsOf(first.result));
      expect(held[1]).toBe(held[0]);
      expect(liveBytes).toBe(0);
    },
  );

  test("live bytes and memory are the same after N steps and after 2 N", TIMEOUT, async () => {
    const held = new Map<number, { readonly live: number; readonly all: number }>();
    await firstSteps(device, plan, {
      steps: 160,
      onStep: ({ counters }) => {
        const { liveBytes, pooledBytes } = device.memory();
        held.set(counters.step, { live: liveBytes, all: liveBytes + pooledBytes });
      },
    });
    expect(held.get(160)).toEqual(held.get(80));
    expect(held.get(80)!.live).toBeGreaterThan(0);
    expect(device.memory().liveBytes).toBe(0);
  });

  test(
    "a device that is lost in mid-run ends training; it goes on from a host copy to the same numbers",
    TIMEOUT,
    async () => {
      const whole = await firstSteps(device, plan, { steps: 20 });

      const adapter = await gpu.requestAdapter();
      // As the backend asks for a device of its own, so that sums are the same.
      const lost = await adapter!.requestDevice({
        requiredFeatures: adapter!.features.has("subgroups") ? ["subgroups"] : [],
        requiredLimits: { maxStorageBuffersPerShaderStage: adapter!.limits.maxStorageBuffersPerShaderStage },
      });
      let copy: TrainState | undefined;
      const until: number[] = [];
      const training = firstSteps(await webgpu({ device: lost }), plan, {
        steps: 20,
        onStep: async ({ counters, loss, snapshot }) => {
          until.push(loss);
          if (counters.step % 4 === 0) copy = await snapshot();
          // In the middle of the step after the next one.
          if (counters.step === 10) setTimeout(() => lost.destroy(), 1);
        },
      });
      await expect(training).rejects.toThrow(BackendLostError);
      expect(until.length).toBeGreaterThanOrEqual(10);
      expect(until.length).toBeLessThan(20);

      await using fresh = await webgpu();
      const rest = await firstSteps(fresh, plan, { steps: 20, state: copy! });
      expect(rest.losses.length).toBe(20 - copy!.counters.step);
      expect(rest.losses).toEqual(whole.losses.slice(copy!.counters.step));
      expect(bitsOf(rest.result)).toEqual(bitsOf(whole.result));
    },
  );

  test("parity as `banach start --quick` trains it: the losses of wasm", TIMEOUT, async () => {
    expectLosses(await firstSteps(device, parity), await trainedOn(() => wasm(), parity));
  });
});
