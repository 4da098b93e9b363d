/** Training wherever it can run: parity as `banach start` has it, and smaller plans. */
import type { Device } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, test } from "vitest";
import { bitsOf, expectSameTraining, firstSteps, parity, PLACES, SMALL_PLANS, trainedOn } from "./first-steps.ts";

const TIMEOUT = { timeout: 120_000 };
const smallPlans = Object.entries(SMALL_PLANS);

describe.each<[string, () => Promise<Device>]>(Object.entries(PLACES))("training on %s", (_, open) => {
  test.each([...smallPlans, ["parity as the story has it", parity] as const])(
    "%s: the losses of the reference, and the same bits each time",
    TIMEOUT,
    (__, plan) => expectSameTraining(open, plan),
  );

  test("live bytes and memory are the same after N steps and after 2 N", TIMEOUT, async () => {
    await using device = await open();
    const held = new Map<number, { readonly live: number; readonly all: number }>();
    await firstSteps(device, parity, {
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
});

test.each(smallPlans)("%s: the same bits on one, two and three threads", TIMEOUT, async (_, plan) => {
  const on = (threads: number) => trainedOn(() => wasm({ threads, grain: { step: 0, program: 0 } }), plan);
  const [one, two, three] = [await on(1), await on(2), await on(3)];
  expect(bitsOf(two.result)).toEqual(bitsOf(one.result));
  expect(bitsOf(three.result)).toEqual(bitsOf(one.result));
});
