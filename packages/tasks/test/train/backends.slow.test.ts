import { type Device, type HostTensor, treeLeaves } from "@banach/autograd";
import { expect, test } from "vitest";
import { findBackend } from "../../src/cli/backends.ts";
import { parityPlan } from "../../src/cli/parity-story.ts";
import { buildRun } from "../../src/models/build.ts";
import { train, type TrainOptions, type TrainResult } from "../../src/train/index.ts";

/** Parity as `banach start` trains it, with a fixed number of iterations: losses then depend on rounding alone. */
const plan = parityPlan(0);
const fixedIterations = { kind: "sequential", tol: 0, maxSteps: 4 } as const;
const parts = buildRun({ ...plan, model: { ...plan.model, solver: fixedIterations } });

interface Trained {
  readonly losses: readonly number[];
  readonly result: TrainResult;
}

async function run(device: Device, options: Partial<TrainOptions> = {}): Promise<Trained> {
  const losses: number[] = [];
  const result = await train({
    ...parts,
    device,
    batch: plan.batch,
    steps: 50,
    clip: plan.optimizer.clip,
    seed: 0,
    onStep: ({ loss }) => void losses.push(loss),
    ...options,
  });
  return { losses, result };
}

async function runOn(backend: string): Promise<Trained> {
  await using device = await findBackend(backend)();
  return await run(device);
}

/** The words of every tensor, so that 0 and -0 differ. */
const bits = ({ state }: TrainResult): unknown =>
  treeLeaves([state.params, state.optimizer] as unknown as HostTensor).map(({ path, leaf: { data } }) => [
    path,
    Array.from(new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4)),
  ]);

test(
  "50 steps on wasm have the losses of the reference, and the same bits each time",
  { timeout: 120_000 },
  async () => {
    const [first, second, expected] = [await runOn("wasm"), await runOn("wasm"), await runOn("reference")];
    expect(first.losses).toHaveLength(50);
    const differences = expected.losses.map((loss, i) => Math.abs((first.losses[i]! - loss) / loss));
    expect(Math.max(...differences)).toBeLessThan(1e-3);
    expect(second.losses).toEqual(first.losses);
    expect(bits(second.result)).toEqual(bits(first.result));
  },
);

test(
  "live bytes on wasm are the same after N steps and after 2 N, and none are left",
  { timeout: 60_000 },
  async () => {
    await using device = await findBackend("wasm")();
    const live = new Map<number, number>();
    await run(device, {
      steps: 40,
      onStep: ({ counters }) => void live.set(counters.step, device.memory().liveBytes),
    });
    expect(live.get(40)).toBe(live.get(20));
    expect(live.get(20)).toBeGreaterThan(0);
    expect(device.memory().liveBytes).toBe(0);
  },
);
