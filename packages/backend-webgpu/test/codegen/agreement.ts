/** Runs programs on every kind of shaders, and in orders of invocations that devices do not choose, and compares. */
import { key, makeGraph, random, type Tracer, whileLoop } from "@banach/autograd";
import { type Backend, type Graph, type HostArray, optimize } from "@banach/autograd/backend";
import { evaluateGraph } from "@banach/autograd/reference";
import { afterAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { strangeDevice } from "../strange-device.ts";

const devices = {
  "in subgroups": await strangeDevice({ subgroups: true }),
  "reversed, in subgroups": await strangeDevice({ reversed: true, subgroups: true }),
  reversed: await strangeDevice({ reversed: true }),
  "on small grids": await strangeDevice({ limits: { maxComputeWorkgroupsPerDimension: 4 } }),
};
/** By name: each tuning, with invocations in order and reversed, in subgroups and not. */
export const backends: Record<string, Backend> = {};
for (const tuning of ["hardware", "software"] as const) {
  for (const [name, device] of Object.entries(devices)) {
    backends[`${tuning}, ${name}`] = await webgpuBackend({ device, tuning });
  }
}
afterAll(() => {
  for (const device of Object.values(devices)) device.destroy();
});

export type Shapes = readonly (readonly number[])[];
export type Program = (...args: Tracer[]) => readonly Tracer[];

/** Matrices are small enough for loops to stay bounded. */
export const weights = (w: Tracer): Tracer => w.mul(0.3 / Math.sqrt(w.dim(0)));

/** A while per row; its count as the last result. */
export function settle(y: Tracer, body: (y: Tracer) => Tracer, above: number): readonly Tracer[] {
  const condition = (z: Tracer): Tracer => z.abs().max({ axes: 1 }).greater(above);
  const { carry, steps } = whileLoop(condition, body, y, { maxSteps: 12 });
  return [carry, steps.astype("float32")];
}

/** Programs by name, with the shapes of their inputs. */
export type Programs = Readonly<Record<string, readonly [Shapes, Program]>>;

/** What rounding accounts for. */
export const TOLERANCE = 1e-4;

/** The largest difference of two results, relative to what is larger than 1. */
export function worstOf(expected: readonly HostArray[], actual: readonly HostArray[]): number {
  const differences = expected.flatMap((values, k) =>
    Array.from(values, (x, i) => Math.abs(x - actual[k]![i]!) / Math.max(1, Math.abs(x))),
  );
  return differences.reduce((most, x) => Math.max(most, x), 0);
}

/** How far a backend is from what is expected. */
export async function differenceOn(
  backend: Backend,
  graph: Graph,
  data: readonly HostArray[],
  expected: readonly HostArray[],
): Promise<number> {
  using executable = await backend.compile(graph);
  const buffers = data.map((array, i) => backend.write(array, graph.inputs[i]!.type));
  const { outputs } = await executable.run(buffers);
  const actual: HostArray[] = [];
  for (const output of outputs) actual.push(await backend.read(output));
  for (const buffer of [...buffers, ...outputs]) buffer[Symbol.dispose]();
  return worstOf(expected, actual);
}

/** Tests that all of them agree with the reference. */
export function describeAgreement(programs: Programs): void {
  describe.each(Object.entries(programs))("%s", (_, [shapes, program]) => {
    const tensors = shapes.map((shape, i) => random.normal(random.foldIn(key(5), i), shape));
    const graph: Graph = optimize(makeGraph((args: readonly Tracer[]) => program(...args), tensors));
    const data = tensors.map((tensor) => tensor.data);
    const expected = evaluateGraph(graph, data);

    it.each(Object.entries(backends))("%s", async (_, backend) => {
      expect(await differenceOn(backend, graph, data, expected)).toBeLessThan(TOLERANCE);
    });
  });
}
