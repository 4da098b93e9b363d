/** Samples of the elementwise primitives. */
import type { DType, Shape } from "../../ir/tensor-type.ts";
import { type Domain, integers, lattice, normal, uniform, values } from "../data.ts";
import { bool, f32, i32, type Sample, sample, type SampleClass, type SampleTable, u32 } from "../sample.ts";

const NONE = {};
const LARGEST = 3.4028234663852886e38;
const SMALLEST_NORMAL = 2 ** -126;
const DENORMAL = 2 ** -140;

/** Numbers at which kernels go wrong. */
const SPECIAL: readonly number[] = [
  ...[NaN, Infinity, -Infinity, 0, -0, 1, -1, 2, -2, 0.5, -0.5],
  ...[LARGEST, -LARGEST, SMALLEST_NORMAL, -SMALLEST_NORMAL, DENORMAL, -DENORMAL, 2 ** -149],
  ...[88.5, -88.5, 104, -104, 1e-8, -1e-8, 1e20, -1e20],
];
const special = values(...SPECIAL);
/** Every pair of special numbers, one list per side. */
const specialLeft = values(...SPECIAL.flatMap((a) => SPECIAL.map(() => a)));
const specialRight = values(...SPECIAL.flatMap(() => SPECIAL));
const PAIRS: Shape = [SPECIAL.length ** 2];

const SHAPES: readonly (readonly [SampleClass, Shape])[] = [
  ["scalar", []],
  ["empty", [0, 3]],
  ["one", [1]],
  ["odd", [3, 5]],
  ["large", [257]],
];

/** The samples of all primitives without parameters are of one type. */
type Plain = "neg";

function unary(domain: Domain, ...more: readonly Sample<Plain>[]): readonly Sample<Plain>[] {
  return [
    ...SHAPES.map(([kind, shape]) => sample<Plain>(kind, NONE, [f32(shape, domain)])),
    sample<Plain>("special", NONE, [f32([SPECIAL.length], special)], { wrt: [] }),
    ...more,
  ];
}

function binary(left: Domain, right: Domain, ...more: readonly Sample<Plain>[]): readonly Sample<Plain>[] {
  return [
    ...SHAPES.map(([kind, shape]) => sample<Plain>(kind, NONE, [f32(shape, left), f32(shape, right)])),
    sample<Plain>("special", NONE, [f32(PAIRS, specialLeft), f32(PAIRS, specialRight)], { wrt: [] }),
    ...more,
  ];
}

const wide = (low: number, high: number): Sample<Plain> =>
  sample<Plain>("large", NONE, [f32([513], uniform(low, high))], { name: `${low} to ${high}`, wrt: [] });

const extremes = values(2147483647, -2147483648, -1, 0, 1, 7, -7);
const otherExtremes = values(2147483647, -1, 3, 0);
const integerUnary = sample<Plain>("integer", NONE, [i32([7], extremes)]);
const integerBinary = sample<Plain>("integer", NONE, [i32([28], extremes), i32([28], otherExtremes)]);
const unsignedBinary = sample<Plain>(
  "integer",
  NONE,
  [u32([28], values(4294967295, 0, 1, 2147483648, 7, 65537, 3)), u32([28], values(4294967295, 2, 3, 0))],
  { name: "unsigned" },
);

const logical: readonly Sample<Plain>[] = SHAPES.map(([kind, shape]) =>
  sample<Plain>(kind, NONE, [bool(shape), bool(shape)]),
);

const smooth = normal();
const positive = uniform(0.25, 3);
/** Below 0.1 mod 1, so that two of them differ by more than 0.2. */
const left = lattice(0.1);
const right = lattice(0.6);

const compared = (["eq", "ne", "lt", "le", "gt", "ge"] as const).flatMap((direction) => [
  sample<"compare">("odd", { direction }, [f32([3, 5], integers(-2, 2)), f32([3, 5], integers(-2, 2))], {
    name: direction,
    wrt: [],
  }),
  sample<"compare">("special", { direction }, [f32(PAIRS, specialLeft), f32(PAIRS, specialRight)], {
    name: direction,
    wrt: [],
  }),
  sample<"compare">("integer", { direction }, [i32([28], extremes), i32([28], otherExtremes)], { name: direction }),
]);

const convert = (to: DType, from: Sample<"convert_element_type">["inputs"][number], kind: SampleClass = "odd") =>
  sample<"convert_element_type">(kind, { dtype: to }, [from], {
    name: `${from.type.dtype} to ${to}`,
    ...(kind === "special" ? { wrt: [] } : {}),
  });

const flags = [bool([3, 5]), f32([3, 5]), f32([3, 5])];

export const elementwise: Pick<
  SampleTable,
  | ("neg" | "abs" | "sign" | "floor" | "exp" | "log" | "log1p" | "expm1" | "sin" | "cos" | "tanh" | "logistic")
  | ("sqrt" | "rsqrt" | "is_finite" | "not" | "convert_element_type" | "add" | "sub" | "mul" | "div" | "max" | "min")
  | ("pow" | "and" | "or" | "compare" | "select")
> = {
  neg: unary(smooth, integerUnary),
  abs: unary(
    left,
    integerUnary,
    sample("edge", NONE, [f32([4], values(0, 0, 1, -1))], { name: "at 0", regularity: "kink" }),
  ),
  sign: unary(left, integerUnary),
  floor: unary(left),
  exp: unary(smooth, wide(-87, 88)),
  log: unary(positive, wide(0.4, 2.1), wide(1e-3, 1e5)),
  log1p: unary(uniform(-0.5, 2), wide(-0.9, 9), wide(-1e-3, 1e-3)),
  expm1: unary(smooth, wide(-20, 20), wide(-1e-3, 1e-3)),
  sin: unary(smooth, wide(-1024, 1024), wide(-3.14159, 3.14159)),
  cos: unary(smooth, wide(-1024, 1024), wide(-3.14159, 3.14159)),
  tanh: unary(smooth, wide(-10, 10), wide(-1e-3, 1e-3)),
  logistic: unary(smooth, wide(-80, 80)),
  sqrt: unary(positive, wide(0, 1e6)),
  rsqrt: unary(positive, wide(1e-6, 1e6)),
  is_finite: unary(smooth),
  not: SHAPES.map(([kind, shape]) => sample<"not">(kind, NONE, [bool(shape)])),
  convert_element_type: [
    convert("float64", f32([3, 5])),
    convert("float32", f32([0]), "empty"),
    convert("int32", f32([257], uniform(-99.9, 99.9)), "large"),
    convert("int32", f32([9], values(NaN, Infinity, -Infinity, 3e9, -3e9, 2.9, -2.9, 0.5, -0)), "special"),
    convert("uint32", f32([3, 5], uniform(0, 99.9))),
    convert("bool", f32([5], values(0, -0, 0.25, NaN, -3)), "special"),
    convert("float32", i32([7], values(2147483647, -2147483648, 16777217, -1, 0, 1, 5)), "integer"),
    convert("float32", u32([5], values(4294967295, 16777217, 0, 1, 5)), "integer"),
    convert("float32", bool([3, 5])),
    convert("uint32", i32([5], values(-1, 0, 1, 2147483647, -2147483648)), "integer"),
    convert("int32", u32([4], values(4294967295, 0, 1, 2147483648)), "integer"),
    convert("int32", bool([5])),
    convert("bool", i32([5], values(-1, 0, 1, 256, 0)), "integer"),
  ],
  add: binary(smooth, smooth, integerBinary, unsignedBinary),
  sub: binary(smooth, smooth, integerBinary, unsignedBinary),
  mul: binary(smooth, smooth, integerBinary, unsignedBinary),
  div: binary(smooth, positive, integerBinary, unsignedBinary),
  max: binary(
    left,
    right,
    integerBinary,
    unsignedBinary,
    sample("edge", NONE, [f32([4], values(1, 2)), f32([4], values(1, 2, 5, -5))], {
      name: "ties",
      regularity: "kink",
    }),
  ),
  min: binary(
    left,
    right,
    integerBinary,
    unsignedBinary,
    sample("edge", NONE, [f32([4], values(1, 2)), f32([4], values(1, 2, 5, -5))], {
      name: "ties",
      regularity: "kink",
    }),
  ),
  pow: binary(
    positive,
    smooth,
    sample("large", NONE, [f32([513], uniform(0.5, 4)), f32([513], uniform(-20, 20))], { name: "wide", wrt: [] }),
    sample("edge", NONE, [f32([5], values(0, 0, 0, 2, 3)), f32([5], values(2, 3, 1, 2, 3))], {
      name: "base 0",
      wrt: [0],
      regularity: "once",
    }),
    sample("edge", NONE, [f32([4], values(0, 2, 0.5, 3)), f32([4], values(2, 0, 0, 1))], {
      name: "exponent 0",
      wrt: [1],
      regularity: "once",
    }),
    sample("edge", NONE, [f32([4], values(-2, -1, -0.5, -3)), f32([4], values(2, 3, 2, -1))], {
      name: "negative base",
      wrt: [0],
    }),
  ),
  and: logical,
  or: logical,
  compare: [
    ...compared,
    sample("empty", { direction: "lt" }, [f32([0]), f32([0])]),
    sample("scalar", { direction: "lt" }, [f32([]), f32([])]),
    sample("odd", { direction: "eq" }, [bool([3, 5]), bool([3, 5])], { name: "bool" }),
  ],
  select: [
    ...SHAPES.map(([kind, shape]) => sample<"select">(kind, NONE, [bool(shape), f32(shape), f32(shape)])),
    sample("integer", NONE, [bool([7]), i32([7]), i32([7])]),
    sample("odd", NONE, [bool([7]), bool([7]), bool([7])], { name: "bool" }),
    // The value that is not chosen must leave no trace.
    sample("special", NONE, [bool([6], values(1, 0)), f32([6], values(1, NaN)), f32([6], values(NaN, 2))], {
      wrt: [],
    }),
    sample("odd", NONE, flags, { name: "by one side", wrt: [1] }),
  ],
};
