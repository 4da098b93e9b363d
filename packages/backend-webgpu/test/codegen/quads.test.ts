/** Dispatches that load and store vectors of four: which buffers they bind so, and that results are what elements give. */
import {
  array,
  concatenate,
  dotGeneral,
  type HostTensor,
  key,
  makeGraph,
  random,
  type Tracer,
  whileLoop,
  where,
} from "@banach/autograd";
import { type Access, type Backend, type Graph, optimize, type ProgramBuffer } from "@banach/autograd/backend";
import { evaluateGraph } from "@banach/autograd/reference";
import { afterAll, describe, expect, it } from "vitest";
import { isQuad, NO_QUADS, quadAccess, vectorsOf } from "../../src/codegen/quads.ts";
import { HARDWARE, type Shader, SOFTWARE, type Tuning } from "../../src/codegen/shader-writer.ts";
import { webgpuBackend } from "../../src/index.ts";
import { limitsOf, shadersOf } from "./shaders.ts";

const software = await webgpuBackend({ tuning: "software" });
const backends: Readonly<Record<string, readonly [Tuning, Backend]>> = {
  software: [SOFTWARE, software],
  hardware: [HARDWARE, await webgpuBackend({ tuning: "hardware" })],
};
afterAll(async () => {
  for (const [, backend] of Object.values(backends)) await backend[Symbol.asyncDispose]();
});

/** The types of the elements of what a shader binds, in order. */
const elementsOf = ({ code }: Shader): readonly string[] =>
  [...code.matchAll(/var<storage, \w+> b\d+: array<(.+)>;/g)].map(([, element = ""]) => element);

interface Case {
  readonly inputs: readonly HostTensor[];
  readonly program: (...args: readonly Tracer[]) => Tracer | readonly Tracer[];
  /** Elements of the bindings of the last dispatch. */
  readonly binds: readonly string[];
}

const V = "vec4<f32>";
const U = "vec4<u32>";
const rows = (...shape: number[]): HostTensor => random.normal(key(shape.length), shape);

/** Large enough for shaders for GPUs to have an invocation compute four points. */
const cases: Readonly<Record<string, Case>> = {
  "values side by side": {
    inputs: [rows(65536), rows(65536)],
    program: (x, y) => x.mul(x.logistic()).add(y),
    binds: [V, V, V],
  },
  "a row and a column that are broadcast": {
    inputs: [rows(256, 260), rows(260), rows(256, 1)],
    program: (x, row, column) => x.mul(row).add(column),
    binds: [V, V, "f32", V],
  },
  "a slice that begins at a multiple of 4, and one that does not": {
    inputs: [rows(65544), rows(65544)],
    program: (x, y) => x.sliceAxis(0, 4, 65540).sub(y.sliceAxis(0, 3, 65539)),
    binds: [V, "f32", V],
  },
  "a number of columns that is no multiple of 4": {
    inputs: [rows(300, 258), rows(300, 260)],
    program: (x, y) => x.sub(y.sliceAxis(1, 0, 258)),
    binds: ["f32", "f32", "f32"],
  },
  "rows that begin anywhere": {
    inputs: [rows(260, 262), rows(260, 260)],
    program: (x, y) => x.sliceAxis(1, 0, 260).sub(y),
    binds: ["f32", V, V],
  },
  "a buffer whose size is no multiple of 4": {
    inputs: [rows(65541), rows(65540)],
    program: (x, y) => x.sliceAxis(0, 0, 65540).sub(y),
    binds: ["f32", V, V],
  },
  "elements that are read along the other axis as well": {
    inputs: [rows(260, 260)],
    program: (x) => x.sub(x.transpose([1, 0])),
    binds: [V, V],
  },
  "rows that are looked up": {
    inputs: [array(Int32Array.from({ length: 256 }, (_, i) => (i * 7) % 9)), rows(9, 260), rows(256, 260)],
    program: (ids: Tracer, table: Tracer, x: Tracer) => table.take(ids).add(x),
    binds: ["i32", "f32", V, V],
  },
  "integers and bools": {
    inputs: [rows(65536), rows(65536)],
    program: (x, y) => {
      const n = x.mul(1000).astype("int32");
      const more = x.greater(y);
      return [more, n.astype("uint32").mul(3), n.sub(more.astype("int32"))];
    },
    binds: [V, V, U, U, "vec4<i32>"],
  },
  "bools that are read": {
    inputs: [array(Uint8Array.from({ length: 65536 }, (_, i) => Number(i % 3 === 0))), rows(65536)],
    program: (p, x) => where(p, x, x.neg()),
    binds: [U, V, V],
  },
};

const large = rows(128, 128);

/** What an operand has as vectors along the sum it has only in small tiles, and where there is much to multiply. */
const contractions: Readonly<Record<string, Case>> = {
  "along the sum, and along columns": {
    inputs: [rows(32, 40), rows(40, 36)],
    program: (x, y) => x.matmul(y),
    binds: [V, V, V],
  },
  "both along the sum, which ends inside a tile": {
    inputs: [rows(32, 40), rows(38, 40)],
    program: (x, y) => x.matmul(y.transpose([1, 0])),
    binds: [V, V, "f32"],
  },
  "along rows and along columns": {
    inputs: [rows(42, 32), rows(42, 36)],
    program: (x, y) => x.transpose([1, 0]).matmul(y),
    binds: [V, V, V],
  },
  "a sum of a length that is no multiple of 4": {
    inputs: [rows(32, 42), rows(42, 36)],
    program: (x, y) => x.matmul(y),
    binds: ["f32", V, V],
  },
  "a sum along two axes that are not one": {
    inputs: [rows(32, 3, 12), rows(12, 3, 36)],
    program: (x, y) =>
      dotGeneral(x, y, {
        contracting: [
          [1, 2],
          [1, 0],
        ],
      }),
    binds: [V, V, V],
  },
  "an operand that begins anywhere": {
    inputs: [rows(32, 44), rows(40, 36)],
    program: (x, y) => x.sliceAxis(1, 1, 41).matmul(y),
    binds: ["f32", V, V],
  },
  "a batch": {
    inputs: [rows(6, 8, 40), rows(6, 40, 36)],
    program: (x, y) => x.matmul(y),
    binds: [V, V, V],
  },
  "rows of one buffer with each other": {
    inputs: [rows(32, 40)],
    program: (x) => x.matmul(x.transpose([1, 0])),
    binds: [V, V],
  },
  "one buffer along the sum and along columns": {
    inputs: [rows(32, 32)],
    program: (x) => x.matmul(x),
    binds: [V, V],
  },
  "a bias and a factor of each row, in a loop over results": {
    inputs: [rows(64, 40), rows(40, 132), rows(132), rows(64, 1)],
    program: (x, y, bias, scale) => x.matmul(y).add(bias).mul(scale),
    binds: ["f32", V, V, "f32", V],
  },
  "larger tiles, little to multiply": {
    inputs: [rows(64, 40), rows(40, 64)],
    program: (x, y) => x.matmul(y),
    binds: ["f32", V, V],
  },
  "larger tiles, much to multiply": {
    inputs: [large, large],
    program: (x, y) => x.matmul(y),
    binds: [V, V, V],
  },
};

async function check(graph: Graph, inputs: readonly HostTensor[], backend: Backend, tolerance: number): Promise<void> {
  const data = inputs.map((tensor) => tensor.data);
  const expected = evaluateGraph(graph, data);
  using executable = await backend.compile(graph);
  const buffers = data.map((values, i) => backend.write(values, graph.inputs[i]!.type));
  const { outputs } = await executable.run(buffers);
  for (const [k, output] of outputs.entries()) {
    const actual = await backend.read(output);
    const want = expected[k]!;
    expect(actual.length).toBe(want.length);
    let worst = 0;
    for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(want[i]! - actual[i]!));
    expect(worst).toBeLessThanOrEqual(tolerance);
  }
  for (const buffer of [...buffers, ...outputs]) buffer[Symbol.dispose]();
}

describe.each(Object.entries(backends))("shaders for %s", (_, [tuning, backend]) => {
  it.each(Object.entries(cases))("%s", async (_: string, { inputs, program, binds }: Case) => {
    const graph = optimize(makeGraph((args: readonly Tracer[]) => program(...args), inputs));
    expect(elementsOf(shadersOf(graph, limitsOf(tuning)).at(-1)!)).toEqual(binds);
    await check(graph, inputs, backend, 1e-5);
  });

  it("loads quads of weights in a product of few rows", async () => {
    const inputs = [rows(8, 40), rows(40, 256)] as const;
    const graph = optimize(makeGraph((x: Tracer, y: Tracer) => x.matmul(y), ...inputs));
    expect(elementsOf(shadersOf(graph, limitsOf(tuning)).at(-1)!)).toEqual([V, V, V]);
    await check(graph, inputs, backend, 1e-4);
  });

  it("stores quads of what tiles in workgroup memory have, where a tile exceeds the results as well", async () => {
    const inputs = [rows(70, 40), rows(40, 132), rows(132)] as const;
    const product = (x: Tracer, y: Tracer, bias: Tracer): Tracer => x.matmul(y).add(bias);
    const graph = optimize(makeGraph(product, ...inputs));
    expect(elementsOf(shadersOf(graph, limitsOf(tuning)).at(-1)!).slice(-2)).toEqual([V, V]);
    await check(graph, inputs, backend, 1e-4);
  });

  it("stores by elements to a buffer whose size is no multiple of 4, and by quads to another", async () => {
    const inputs = [rows(65536), rows(1)] as const;
    const program = (x: Tracer, y: Tracer): readonly Tracer[] => [x.add(1), concatenate([x.mul(2), y], 0)];
    const graph = optimize(makeGraph(program, ...inputs));
    expect(shadersOf(graph, limitsOf(tuning)).map(elementsOf)).toContainEqual([V, V, "f32"]);
    await check(graph, inputs, backend, 1e-5);
  });

  it("stores where it has read", async () => {
    const count = (x: Tracer): Tracer =>
      whileLoop(
        (z: Tracer) => z.max().less(8),
        (z: Tracer) => z.mul(1.5).add(1),
        x,
        { maxSteps: 12 },
      ).carry;
    const inputs = [rows(65536)] as const;
    const graph = optimize(makeGraph(count, ...inputs));
    const inPlace = shadersOf(graph, limitsOf(tuning)).filter(({ code }) =>
      /(b\d)\[(\w+)\];[^]*\1\[\2\] = vec4/.test(code),
    );
    expect(inPlace.length).toBe(1);
    await check(graph, inputs, backend, 1e-3);
  });
});

describe("products in registers", () => {
  it.each(Object.entries(contractions))("%s", async (_: string, { inputs, program, binds }: Case) => {
    const graph = optimize(makeGraph((args: readonly Tracer[]) => program(...args), inputs));
    expect(elementsOf(shadersOf(graph, limitsOf(SOFTWARE)).at(-1)!)).toEqual(binds);
    await check(graph, inputs, software, 1e-4);
  });
});

it("keeps halves in vectors", () => {
  const half = (x: Tracer, y: Tracer): Tracer => x.mul(y);
  const x = array(new Float32Array(65536), { dtype: "float16" });
  const [shader] = shadersOf(optimize(makeGraph(half, x, x)), limitsOf(HARDWARE));
  expect(elementsOf(shader!)).toEqual(["vec4<f16>", "vec4<f16>", "vec4<f16>"]);
  expect(shader!.code).toMatch(/^enable f16;/);
  expect(shader!.code).toMatch(/let (q\d+) = vec4<f32>\(b0\[/);
  expect(shader!.code).toMatch(/b2\[\w+\] = vec4<f16>\(f16\(/);
});

it("leaves to an invocation a point where the values are long, or the points few", () => {
  const long = (x: Tracer): Tracer => x.sin().mul(x.cos()).add(x.exp());
  const short = (x: Tracer): Tracer => x.mul(2);
  for (const [program, size] of [
    [long, 65536],
    [short, 252],
  ] as const) {
    const [shader] = shadersOf(optimize(makeGraph(program, rows(size))), limitsOf(SOFTWARE));
    expect(elementsOf(shader!)).toEqual(["f32", "f32"]);
  }
});

it("binds no vectors of what some kernel of a dispatch stores by elements", () => {
  const buffer = (name: string): ProgramBuffer => ({ name, dtype: "float32", size: 64 });
  const [weights, carry, result] = [buffer("weights"), buffer("carry"), buffer("result")];
  const loads = { use: { loads: [weights, carry], stores: new Set([result]) }, written: [result] };
  expect(vectorsOf([loads])).toEqual(new Set([weights, carry, result]));
  expect(vectorsOf([loads, { use: NO_QUADS, written: [carry] }])).toEqual(new Set([weights, result]));
  expect(vectorsOf([{ use: NO_QUADS, written: [result] }, loads])).toEqual(new Set([weights, carry]));
});

describe("a quad of elements is a vector", () => {
  const at = ({ offset, strides, loops }: Access, axes: readonly number[], counter: number): number =>
    loops.reduce(
      (sum, { stride }) => sum + stride * counter,
      strides.reduce((sum, stride, axis) => sum + stride * axes[axis]!, offset),
    );
  const loop = (stride: number): Access["loops"] => [{ counter: { name: "t" }, stride }];
  const quads: Readonly<Record<string, Access>> = {
    "along contiguous memory": { offset: 8, strides: [260, 1], loops: [] },
    "where another axis is reversed": { offset: 1040, strides: [-260, 1], loops: loop(-4) },
    "where another axis does not move": { offset: 0, strides: [0, 1], loops: loop(0) },
  };
  it.each(Object.entries(quads))("%s", (_, access) => {
    expect(isQuad(access, 1)).toBe(true);
    for (const [row, quad, counter] of [
      [0, 0, 0],
      [3, 2, 5],
    ] as const) {
      const vector = at(quadAccess(access, 1), [row, quad], counter);
      for (const c of [0, 1, 2, 3]) expect(4 * vector + c).toBe(at(access, [row, 4 * quad + c], counter));
    }
  });

  const others: Readonly<Record<string, Access>> = {
    "that is reversed": { offset: 3, strides: [260, -1], loops: [] },
    "that begins elsewhere": { offset: 2, strides: [260, 1], loops: [] },
    "of rows that begin anywhere": { offset: 0, strides: [261, 1], loops: [] },
    "that a loop moves anywhere": { offset: 0, strides: [260, 1], loops: loop(-3) },
    "that is strided, or one element": { offset: 0, strides: [1, 4], loops: [] },
  };
  it.each(Object.entries(others))("but not one %s", (_, access) => {
    expect(isQuad(access, 1)).toBe(false);
  });
});
