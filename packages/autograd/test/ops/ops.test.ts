import { describe, expect, it } from "vitest";
import { ArgumentError, DTypeError, ShapeError, TraceError } from "../../src/errors.ts";
import { formatType } from "../../src/ir/tensor-type.ts";
import { printGraph } from "../../src/ir/print.ts";
import { makeGraph } from "../../src/jit/index.ts";
import * as ops from "../../src/ops/index.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { onHost } from "../testing/on-host.ts";

/** The nested numbers that f gives on host data. */
const run = (f: (...args: Tracer[]) => Tracer, ...args: HostTensor[]): unknown => onHost(f, ...args).toNested();
const typeOf = (f: (...args: Tracer[]) => Tracer, ...args: HostTensor[]): string => formatType(onHost(f, ...args).type);

const m = array([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
const int = (values: number[]): HostTensor => array(values, { dtype: "int32" });

describe("broadcasting", () => {
  it("aligns at the last axis and repeats axes of size 1", () => {
    expect(run((x, y) => ops.add(x, y), m, array([10, 20, 30]))).toEqual([[11, 22, 33], [14, 25, 36]]); // prettier-ignore
    expect(run((x, y) => ops.add(x, y), m, array([[10], [20]]))).toEqual([[11, 12, 13], [24, 25, 26]]); // prettier-ignore
    expect(typeOf((x, y) => ops.mul(x, y), array([[1], [2]]), array([[1, 2, 3]]))).toBe("float32[2,3]");
    expect(typeOf((x, y) => ops.mul(x, y), array([], { shape: [0, 1] }), array([1, 2]))).toBe("float32[0,2]");
  });

  it("refuses what does not fit, naming both shapes", () => {
    expect(() => run((x, y) => ops.add(x, y), m, array([1, 2]))).toThrow(ShapeError);
    expect(() => run((x, y) => ops.add(x, y), m, array([1, 2]))).toThrow(
      /add: float32\[2,3\] and float32\[2\] do not broadcast, axis -1 has sizes 3 and 2/,
    );
  });
});

describe("promotion", () => {
  it.each([
    ["float32", "int32", "float32"],
    ["float64", "float32", "float64"],
    ["float16", "float32", "float32"],
    ["int32", "bool", "int32"],
    ["uint32", "uint32", "uint32"],
    ["bool", "float32", "float32"],
  ] as const)("%s with %s is %s", (a, b, expected) => {
    const [x, y] = [array([1], { dtype: a }), array([1], { dtype: b })];
    expect(typeOf((p, q) => ops.where(true, p, q), x, y)).toBe(`${expected}[1]`);
  });

  it("lets numbers take the dtype of the tensor", () => {
    expect(typeOf((x) => ops.add(x, 1), int([1]))).toBe("int32[1]");
    expect(typeOf((x) => x.astype("float64").mul(0.5), m)).toBe("float64[2,3]");
    expect(() => run((x) => ops.mul(x, 0.5), int([1]))).toThrow(DTypeError);
    expect(typeOf((x) => ops.add(x, 1), array([true]))).toBe("float32[1]");
  });

  it("refuses int32 with uint32", () => {
    expect(() => run((x, y) => ops.add(x, y), int([1]), array([1], { dtype: "uint32" }))).toThrow(/no common dtype/);
  });
});

describe("methods", () => {
  it("are the free functions", () => {
    const chained = makeGraph((x: Tracer) => x.mul(2).add(1).tanh().sum({ axes: 1 }).pow(2), m);
    const free = makeGraph((x: Tracer) => ops.pow(ops.sum(ops.tanh(ops.add(ops.mul(x, 2), 1)), { axes: 1 }), 2), m);
    expect(printGraph(chained)).toBe(printGraph(free));
  });

  it("exist for every operation whose first operand is a tensor", () => {
    makeGraph((x: Tracer) => x, m);
    const free = [
      "arange",
      "concatenate",
      "constant",
      "full",
      "iota",
      "ones",
      "scan",
      "stack",
      "stopGradient",
      "where",
      "whileLoop",
      "zeros",
      "installMethods",
    ];
    const names = Object.keys(ops).filter((name) => !free.includes(name));
    const methods: object = Tracer.prototype;
    expect(names.filter((name) => !(name in methods))).toEqual([]);
  });
});

describe("movement", () => {
  it("slices, splits, indexes and stacks", () => {
    expect(run((x) => x.slice([null, [0, 3, 2]]), m)).toEqual([[1, 3], [4, 6]]); // prettier-ignore
    expect(run((x) => x.slice([[-1, 2]]), m)).toEqual([[4, 5, 6]]);
    expect(run((x) => x.index(1, -1), m)).toEqual([3, 6]);
    expect(run((x) => ops.stack(x.split([1, 2], -1).map((part) => part.sum())), m)).toEqual([5, 16]);
    expect(run((x) => ops.stack([x, x], -1).index(2, 1), m)).toEqual(m.toNested());
    expect(() => run((x) => x.split([1, 1], 1)[0]!, m)).toThrow(/do not add up/);
    expect(() => run((x) => x.slice([[0, 5]]), m)).toThrow(/out of range/);
  });

  it("shifts in time, with zeros or a carried state", () => {
    expect(run((x) => x.shift(1), m)).toEqual([[0, 1, 2], [0, 4, 5]]); // prettier-ignore
    expect(run((x) => x.shift(1, { steps: 2, fill: 9 }), m)).toEqual([[9, 9, 1], [9, 9, 4]]); // prettier-ignore
    expect(run((x) => x.shift(1, { steps: 7 }), m)).toEqual([[0, 0, 0], [0, 0, 0]]); // prettier-ignore
  });

  it("reshapes with one dimension to work out", () => {
    expect(typeOf((x) => x.reshape([3, -1]), m)).toBe("float32[3,2]");
    expect(() => run((x) => x.reshape([4, -1]), m)).toThrow(/cannot work out -1/);
    expect(() => run((x) => x.squeeze(0), m)).toThrow(/not of size 1/);
    expect(() => run((x) => x.expandDims(4), m)).toThrow(/out of range/);
  });
});

describe("choice and indexing", () => {
  it("broadcasts the predicate of where", () => {
    expect(run((x, p) => ops.where(p, x, 0), m, array([true, false, true]))).toEqual([[1, 0, 3], [4, 0, 6]]); // prettier-ignore
    expect(run((x, p) => ops.where(p, x, m), array(7), array([[true], [false]]))).toEqual([[7, 7, 7], [4, 5, 6]]); // prettier-ignore
  });

  it("takes, picks, scatters and one-hots", () => {
    expect(run((x, i) => ops.take(x, i, 1), m, int([2, 0]))).toEqual([[3, 1], [6, 4]]); // prettier-ignore
    expect(run((x, i) => ops.take(x, i), array([1, 2]), int([1, 5, -1]))).toEqual([2, NaN, NaN]);
    expect(run((x, i) => ops.pick(x, i), m, int([2, 9]))).toEqual([3, 0]);
    expect(run((x, i) => ops.scatterAdd(x, i, 1), array([0, 0]), int([1, 1, 7]))).toEqual([0, 2]);
    expect(run((i) => ops.oneHot(i, 2), int([1, 0, 5]))).toEqual([[0, 1], [1, 0], [0, 0]]); // prettier-ignore
    expect(() => run((x) => ops.take(x, x), m)).toThrow(/indices must be integers/);
  });
});

describe("reductions", () => {
  it("take one axis, several or all, and may keep them", () => {
    expect(run((x) => x.sum(), m)).toBe(21);
    expect(run((x) => x.mean({ axes: -1 }), m)).toEqual([2, 5]);
    expect(run((x) => x.max({ axes: [0, 1], keepDims: true }), m)).toEqual([[6]]);
    expect(run((x) => x.min({ axes: 0 }), m)).toEqual([1, 2, 3]);
    expect(run((x) => x.variance({ axes: 1 }).mul(3), m)).toEqual([2, 2]);
    expect(run((x) => x.argmax(0), m)).toEqual([1, 1, 1]);
    expect(run((x) => x.greater(3).any({ axes: 1 }), m)).toEqual([0, 1]);
    expect(run((x) => x.greater(3).all({ axes: 1 }), m)).toEqual([0, 1]);
    expect(run((x) => x.greater(3).sum(), m)).toBe(3);
    expect(() => run((x) => x.sum({ axes: [0, 0] }), m)).toThrow(/repeat/);
    expect(() => run((x) => x.slice([[0, 0]]).mean(), m)).toThrow(/nothing to average/);
  });
});

describe("matmul", () => {
  it.each([
    [
      [2, 3],
      [3, 4],
      [2, 4],
    ],
    [
      [5, 2, 3],
      [3, 4],
      [5, 2, 4],
    ],
    [[3], [3, 4], [4]],
    [[2, 3], [3], [2]],
    [[3], [3], []],
    [
      [5, 2, 3],
      [5, 3, 4],
      [5, 2, 4],
    ],
    [
      [5, 1, 2, 3],
      [7, 3, 4],
      [5, 7, 2, 4],
    ],
    [[3], [5, 3, 4], [5, 4]],
  ])("%j by %j is %j", (a, b, expected) => {
    const ones = (shape: number[]): HostTensor =>
      array(new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(1), { shape });
    const result = onHost((x, y) => x.matmul(y), ones(a), ones(b));
    expect(result.shape).toEqual(expected);
    expect([...new Set(result.data)]).toEqual([3]);
  });

  it("names what does not fit", () => {
    expect(() => run((x) => x.matmul(x), m)).toThrow(/matmul: contracting sizes differ, float32\[2,3\] axis 1 \(3\)/);
    expect(() => run((x) => x.matmul(1), m)).toThrow(/at least one axis/);
  });
});

describe("loops", () => {
  it("may start from a number, and return one", () => {
    expect(run((x) => ops.scan((c, v) => [c.add(v), c], 0, x)[1], array([1, 2, 3]))).toEqual([0, 1, 3]);
    expect(run((x) => ops.scan((c, v) => [{ n: 1, h: c.h.add(c.n) }, v], { n: 0, h: 0 }, x)[0].h, m)).toBe(1);
    expect(run(() => ops.whileLoop((c) => c.less(9), (c) => c.mul(2), 1, { maxSteps: 9 }).carry)).toBe(16); // prettier-ignore
  });
});

describe("what cannot be done", () => {
  const fails = (f: (...args: Tracer[]) => unknown, ...args: HostTensor[]): (() => void) => {
    return () => void makeGraph((...x: Tracer[]) => f(...x) as Tracer, ...args);
  };

  it("is refused with the operation, the types and the remedy", () => {
    expect(fails((x) => x.add(0.5), int([1]))).toThrow(
      /^add: 0.5 does not fit int32\[1\]; convert .* astype\("float32"\)/,
    );
    expect(fails((x) => x.mul(-1), array([1], { dtype: "uint32" }))).toThrow(/^mul: -1 does not fit uint32\[1\]/);
    expect(fails((x) => ops.scatterAdd(x, 0, 0.5), int([1]))).toThrow(/^scatterAdd: 0.5 does not fit int32; convert/);
    expect(fails((x) => x.split([1, 2], 3), m)).toThrow(/^split: axis 3 is out of range for float32\[2,3\]/);
    expect(fails((x) => x.split([1, 1], -1), m)).toThrow(/^split: .* axis -1 of float32\[2,3\], which is 3/);
    expect(fails((x) => ops.stack([x, x], 4), m)).toThrow(/^stack: axis 4 is out of range .* float32\[2,3\]/);
    expect(fails((x) => x.shift(1, { steps: -1 }), m)).toThrow(ArgumentError);
    expect(fails((x) => x.shift(1, { steps: -1 }), m)).toThrow(
      /^shift: steps .* got -1 for float32\[2,3\]; to look ahead/,
    );
    expect(fails((x) => x.shift(1, { steps: 0.5 }), m)).toThrow(/^shift: steps/);
    expect(fails((x) => x.pad([[1, 1]]), m)).toThrow(
      /^pad: 1 amounts for float32\[2,3\]; give one \[low, high\] per axis/,
    );
    expect(fails((x) => x.pad([[-1, 0], [0, 0]]), m)).toThrow(/^pad: low must be .* for float32\[2,3\], got \[-1,0\]/); // prettier-ignore
    expect(fails((x, y) => x.vdot(y), m, array([1, 2]))).toThrow(
      /^vdot: float32\[2,3\] and float32\[2\] differ in shape; /,
    );
  });

  it("is refused where the body of a scan returns no pair", () => {
    const single = ((c: Tracer) => c) as never;
    expect(fails((x) => ops.scan(single, 0, x), m)).toThrow(TraceError);
    expect(fails((x) => ops.scan(single, 0, x), m)).toThrow(
      /^scan: .* \[carry, y\], it returns Tracer<float32\[\]>; return/,
    );
    expect(fails((x) => ops.scan((() => undefined) as never, 0, x), m)).toThrow(/it returns undefined/);
    expect(fails((x) => ops.scan((() => [1]) as never, 0, x), m)).toThrow(/it returns an array of 1/);
  });
});
