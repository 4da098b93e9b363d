/** Programs in which invocations pass on what they compute: right for any order of invocations, and for any shape of grid. */
import { key, makeGraph, random, scan, type Tracer, whileLoop } from "@banach/autograd";
import { type Backend, type Graph, optimize } from "@banach/autograd/backend";
import { evaluateGraph } from "@banach/autograd/reference";
import { afterAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { strangeDevice } from "../strange-device.ts";

const devices = {
  "in order": await strangeDevice({}),
  reversed: await strangeDevice({ reversed: true }),
  "on small grids": await strangeDevice({ limits: { maxComputeWorkgroupsPerDimension: 4 } }),
};
const backends: Record<string, Backend> = {};
for (const tuning of ["hardware", "software"] as const) {
  for (const [name, device] of Object.entries(devices)) {
    backends[`${tuning}, ${name}`] = await webgpuBackend({ device, tuning });
  }
}
afterAll(() => {
  for (const device of Object.values(devices)) device.destroy();
});

type Shapes = readonly (readonly number[])[];
type Program = (...args: Tracer[]) => readonly Tracer[];

/** Matrices are small enough for loops to stay bounded. */
const weights = (w: Tracer): Tracer => w.mul(0.3 / Math.sqrt(w.dim(0)));

/** A while per row; its count as the last result. */
function settle(y: Tracer, body: (y: Tracer) => Tracer, above: number): readonly Tracer[] {
  const condition = (z: Tracer): Tracer => z.abs().max({ axes: 1 }).greater(above);
  const { carry, steps } = whileLoop(condition, body, y, { maxSteps: 12 });
  return [carry, steps.astype("float32")];
}

const programs: Readonly<Record<string, readonly [Shapes, Program]>> = {
  "sums that do not depend on each other": [
    [
      [12, 64],
      [64, 64],
      [64, 64],
      [64, 64],
    ],
    (y, a, b, c) =>
      settle(
        y,
        (z) =>
          z
            .matmul(weights(a))
            .tanh()
            .mul(z.matmul(weights(b)))
            .add(z.matmul(weights(c)).mul(0.5)),
        0.01,
      ),
  ],
  "norms one after the other": [
    [[6, 500]],
    (y) =>
      settle(
        y,
        (z) =>
          z.div(
            z
              .square()
              .sum({ axes: 1, keepDims: true })
              .add(z.abs().max({ axes: 1, keepDims: true })),
          ),
        2,
      ),
  ],
  "values that do not fit in workgroup memory": [
    [
      [12, 64],
      [64, 6000],
      [64, 6000],
    ],
    (y, a, b) => {
      const sums = (z: Tracer, w: Tracer): Tracer =>
        z.matmul(weights(w)).tanh().reshape([12, 300, 20]).sum({ axes: 2 });
      return settle(
        y,
        (z) => z.mul(0.6).add(sums(z, a).mul(sums(z, b)).sum({ axes: 1, keepDims: true }).mul(1e-4)),
        0.3,
      );
    },
  ],
  "scans in a scan": [
    [
      [6, 5],
      [3, 4, 6, 70],
    ],
    (h, xs) => {
      const mean = (x: Tracer): Tracer => x.mean({ axes: 1, keepDims: true });
      const step = (y: Tracer, x: Tracer) => {
        const [a, as] = scan(
          (c: Tracer, e: Tracer) => [c.mul(0.9).add(mean(e)).tanh(), e.add(mean(c)).tanh()] as const,
          y,
          x,
        );
        const [b, bs] = scan((c: Tracer, e: Tracer) => [c.add(mean(e)).tanh(), mean(e).add(c)] as const, a, as);
        const [d, ds] = scan((c: Tracer, e: Tracer) => [c.add(e.mul(0.1)).tanh(), mean(e).add(c)] as const, b, bs);
        const [last] = scan((c: Tracer, e: Tracer) => [c.sub(e).tanh(), null] as const, d, ds);
        return [last, last] as const;
      };
      return scan(step, h, xs);
    },
  ],
  "a scan in reverse, with a while in it": [
    [
      [6, 40],
      [4, 6, 40],
      [40, 40],
    ],
    (h, xs, w) => {
      const step = (y: Tracer, x: Tracer) => {
        const [settled = y] = settle(y.add(x), (z) => z.matmul(weights(w)).tanh(), 0.2);
        return [settled, settled.sum({ axes: 1 })] as const;
      };
      return scan(step, h, xs, { reverse: true });
    },
  ],
  "kernels with more workgroups than a dimension has": [
    [
      [70, 90],
      [90, 130],
      [700, 33],
    ],
    (a, b, c) => [a.matmul(b), c.exp(), c.sum({ axes: 1 }), c.sum(), c.cumsum({ axis: 0 })],
  ],
};

describe.each(Object.entries(programs))("%s", (_, [shapes, program]) => {
  const tensors = shapes.map((shape, i) => random.normal(random.foldIn(key(5), i), shape));
  const graph: Graph = optimize(makeGraph((args: readonly Tracer[]) => program(...args), tensors));
  const data = tensors.map((tensor) => tensor.data);
  const expected = evaluateGraph(graph, data);

  it.each(Object.entries(backends))("%s", async (_, backend) => {
    using executable = await backend.compile(graph);
    const buffers = data.map((array, i) => backend.write(array, graph.inputs[i]!.type));
    const { outputs } = await executable.run(buffers);
    for (const [k, output] of outputs.entries()) {
      const actual = await backend.read(output);
      const worst = Math.max(
        ...Array.from(expected[k]!, (x, i) => Math.abs(x - actual[i]!) / Math.max(1, Math.abs(x))),
      );
      expect(worst).toBeLessThan(1e-4);
    }
    for (const buffer of [...buffers, ...outputs]) buffer[Symbol.dispose]();
  });
});
