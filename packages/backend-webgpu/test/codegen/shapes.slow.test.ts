/** Shapes at which code generation takes another way: results agree with the reference, whatever the machine is taken for. */
import {
  concatenate,
  grad,
  key,
  linearRecurrence,
  makeGraph,
  random,
  type Tracer,
  where,
  whileLoop,
} from "@banach/autograd";
import { type Graph, type HostArray, optimize } from "@banach/autograd/backend";
import { evaluateGraph } from "@banach/autograd/reference";
import { afterAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import type { WebGpuExecutable } from "../../src/runtime/executable.ts";

const backends = {
  hardware: await webgpuBackend({ tuning: "hardware", limits: {} }),
  software: await webgpuBackend({ tuning: "software" }),
  "hardware, loops kept apart": await webgpuBackend({ tuning: "hardware", fuseLoops: false }),
};
afterAll(() => Promise.all(Object.values(backends).map((backend) => backend[Symbol.asyncDispose]())));

type Shapes = readonly (readonly number[])[];

const inputsOf = (shapes: Shapes) => shapes.map((shape, i) => random.normal(random.foldIn(key(7), i), shape));

function graphOf(shapes: Shapes, f: (...args: readonly Tracer[]) => Tracer | readonly Tracer[]): Graph {
  return optimize(makeGraph((args: readonly Tracer[]) => f(...args), inputsOf(shapes)));
}

/** Runs a graph, and compares with float64 arithmetic on the same inputs: within `tolerance` of the largest value. */
async function agrees(
  name: keyof typeof backends,
  shapes: Shapes,
  graph: Graph,
  tolerance: number,
): Promise<readonly string[]> {
  const backend = backends[name];
  const data = inputsOf(shapes).map((tensor): HostArray => tensor.data);
  const expected = evaluateGraph(graph, data);
  using executable = await backend.compile(graph);
  const buffers = data.map((array, i) => backend.write(array, graph.inputs[i]!.type));
  const { outputs } = await executable.run(buffers);
  for (const [k, output] of outputs.entries()) {
    const actual = await backend.read(output);
    const want = Array.from(expected[k]!);
    const scale = want.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    const worst = want.reduce((most, x, i) => Math.max(most, Math.abs(x - actual[i]!)), 0);
    expect(worst / scale).toBeLessThan(tolerance);
  }
  for (const buffer of [...buffers, ...outputs]) buffer[Symbol.dispose]();
  return kindsOf(executable as WebGpuExecutable);
}

const kindsOf = (executable: WebGpuExecutable): readonly string[] => {
  const { actions } = (executable as unknown as { parts: { program: { actions: readonly { kind: string }[] } } }).parts
    .program;
  return actions.map(({ kind }) => kind);
};

describe.each(["hardware", "software"] as const)("%s", (name) => {
  const recurrence = (reverse: boolean) => (a: Tracer, b: Tracer) =>
    linearRecurrence(a.tanh(), b, { axis: 1, reverse });
  it.each([
    ["many rows", [64, 33, 40], false],
    ["few rows", [2, 200, 3], false],
    ["few rows, reverse", [2, 201, 3], true],
    ["one row", [1, 1000, 1], false],
    ["long", [1, 9001, 2], false],
    ["long, reverse", [2, 9001, 1], true],
  ] as const)("recurrence: %s", async (_, shape, reverse) => {
    const shapes = [shape, shape];
    await agrees(name, shapes, graphOf(shapes, recurrence(reverse)), 1e-5);
  });

  it.each([
    [
      [130, 140],
      [140, 150],
    ],
    [
      [64, 2048],
      [2048, 48],
    ],
    [
      [1024, 16],
      [16, 1040],
    ],
    [
      [3, 17, 33],
      [3, 33, 65],
    ],
    [
      [5, 300],
      [300, 7],
    ],
    [
      [1, 500],
      [500, 1],
    ],
  ] as const)("product of %j and %j, with an epilogue", async (a, b) => {
    const shapes = [a, b];
    await agrees(
      name,
      shapes,
      graphOf(shapes, (x, y) => x.matmul(y).mul(0.1).tanh()),
      1e-5,
    );
  });

  it("product of transposed operands", async () => {
    const shapes = [
      [70, 130],
      [90, 70],
    ];
    const graph = graphOf(shapes, (x, y) => x.transpose([1, 0]).matmul(y.transpose([1, 0])));
    await agrees(name, shapes, graph, 1e-5);
  });

  it.each([[[300_000]], [[3, 70_000]], [[70_000, 3]], [[5, 7, 900]], [[257, 1000]]] as const)(
    "sums, maxima and places of maxima of %j",
    async (shape) => {
      const shapes = [shape];
      const graph = graphOf(shapes, (x) => [
        x.sum(),
        x.max(),
        x.sum({ axes: -1 }),
        x.max({ axes: 0 }),
        x.argmax(-1).astype("float32"),
        x.mul(100).abs().astype("uint32").argmax(-1).astype("float32"),
        x.mul(x).sum({ axes: 0 }),
      ]);
      await agrees(name, shapes, graph, 1e-5);
    },
  );

  it.each([
    ["few rows", 5, 300, 3],
    ["many rows", 2000, 300, 3],
    ["as many rows as points", 40, 40, 2],
  ])("gather from %s, and its gradient", async (_, rows, points, width) => {
    const shapes = [
      [rows, width],
      [points, width],
    ];
    const graph = graphOf(shapes, (table, cotangent) => {
      // Places repeat, and some are out of range.
      const places = cotangent
        .index(1, 0)
        .mul(rows / 2)
        .add(rows / 2)
        .astype("int32");
      return grad((t: Tracer) => where(t.take(places).isFinite(), t.take(places), 0).mul(cotangent).sum())(table);
    });
    await agrees(name, shapes, graph, 1e-5);
  });

  it("a kernel with more inputs and outputs than may be bound", async () => {
    const shapes = Array.from({ length: 20 }, (_, i) => [3, 4 + (i % 2)]);
    const graph = graphOf(shapes, (...xs) => {
      const sums = xs.map((x) => x.sum());
      const total = sums.reduce((a, b) => a.add(b));
      return [
        total,
        ...xs.map((x) => x.mul(total)),
        concatenate(
          sums.map((x) => x.reshape([1])),
          0,
        ),
      ];
    });
    await agrees(name, shapes, graph, 1e-5);
  });
});

describe.each(Object.keys(backends) as (keyof typeof backends)[])("%s", (name) => {
  it("a loop whose rows stop by themselves", async () => {
    const shapes = [
      [12, 40],
      [40, 40],
    ];
    const graph = graphOf(shapes, (y, w) => {
      const { carry, steps } = whileLoop(
        (z: Tracer) => z.abs().max({ axes: 1 }).greater(0.5),
        (z: Tracer) => z.matmul(w.mul(0.02)).tanh().mul(z),
        y,
        { maxSteps: 30 },
      );
      return [carry, steps.astype("float32")];
    });
    const kinds = await agrees(name, shapes, graph, 1e-5);
    expect(kinds.includes("while")).toBe(name.includes("apart"));
  });

  it("a sum of nothing, along axes that are not one", async () => {
    const shapes = [[3, 0, 2]];
    const graph = graphOf(shapes, (x) => x.transpose([2, 1, 0]).sum());
    await agrees(name, shapes, graph, 1e-6);
  });
});
