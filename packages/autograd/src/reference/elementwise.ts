/** Kernels of the elementwise primitives: one loop each, since a helper that takes a function per element is megamorphic. */
import type { PrimitiveName } from "../ir/primitives.ts";
import { type HostArray, isFloat } from "../ir/tensor-type.ts";
import { type Implementation, type KernelRule, loop, typeAt } from "./kernel.ts";

type Loop = Parameters<typeof loop>[0];

/** A rule whose loop depends on nothing but the arrays. */
type AnyRule = KernelRule<PrimitiveName>;

function always(body: Loop): AnyRule {
  const implementation = loop(body);
  return () => implementation;
}

export const neg: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = -(x[i] as number);
});

export const abs: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(x[i] as number);
});

export const sign: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sign(x[i] as number);
});

export const floor: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.floor(x[i] as number);
});

export const exp: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(x[i] as number);
});

export const log: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.log(x[i] as number);
});

export const log1p: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.log1p(x[i] as number);
});

export const expm1: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.expm1(x[i] as number);
});

export const sin: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sin(x[i] as number);
});

export const cos: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.cos(x[i] as number);
});

export const tanh: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.tanh(x[i] as number);
});

/** exp of -|x| can neither overflow nor cancel, so both tails are accurate. */
export const logistic: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) {
    const v = x[i] as number;
    const e = Math.exp(-Math.abs(v));
    out[i] = (v < 0 ? e : 1) / (1 + e);
  }
});

export const sqrt: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(x[i] as number);
});

export const rsqrt: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = 1 / Math.sqrt(x[i] as number);
});

export const is_finite: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = Number.isFinite(x[i]) ? 1 : 0;
});

export const not: AnyRule = always((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = 1 - (x[i] as number);
});

// Sums and differences of 32-bit integers are exact in a double and wrap when they are stored.
export const add: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) + (b[i] as number);
});

export const sub: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) - (b[i] as number);
});

const mulFloat = loop((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) * (b[i] as number);
});

const mulInteger = loop((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.imul(a[i] as number, b[i] as number);
});

export const mul: KernelRule<"mul"> = ({ outputs }) => (isFloat(typeAt(outputs, 0).dtype) ? mulFloat : mulInteger);

const divFloat = loop((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) / (b[i] as number);
});

const divInteger = loop((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = b[i] === 0 ? 0 : Math.trunc((a[i] as number) / (b[i] as number));
});

export const div: KernelRule<"div"> = ({ outputs }) => (isFloat(typeAt(outputs, 0).dtype) ? divFloat : divInteger);

export const max: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.max(a[i] as number, b[i] as number);
});

export const min: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.min(a[i] as number, b[i] as number);
});

/** As ECMAScript has it: unlike in IEEE 754, (+-1) ** (+-Infinity) and 1 ** NaN are NaN. */
export const pow: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) ** (b[i] as number);
});

export const and: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) & (b[i] as number);
});

export const or: AnyRule = always((out, a, b) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) | (b[i] as number);
});

const comparisons = {
  eq: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) === (b[i] as number) ? 1 : 0;
  }),
  ne: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) !== (b[i] as number) ? 1 : 0;
  }),
  lt: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) < (b[i] as number) ? 1 : 0;
  }),
  le: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) <= (b[i] as number) ? 1 : 0;
  }),
  gt: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) > (b[i] as number) ? 1 : 0;
  }),
  ge: loop((out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) >= (b[i] as number) ? 1 : 0;
  }),
};

export const compare: KernelRule<"compare"> = ({ params }) => comparisons[params.direction];

export const select: AnyRule = always((out, predicate, onTrue, onFalse) => {
  for (let i = 0; i < out.length; i++) out[i] = (predicate[i] === 0 ? onFalse[i] : onTrue[i]) as number;
});

const toBool = loop((out, x) => {
  for (let i = 0; i < out.length; i++) out[i] = x[i] === 0 ? 0 : 1;
});

/** A typed array's own conversion: it rounds to floats and wraps among the integers. */
const toStorage = loop((out, x) => {
  out.set(x);
});

function truncateInto(out: HostArray, x: HostArray, least: number, most: number): void {
  for (let i = 0; i < out.length; i++) {
    const v = x[i] as number;
    // Stored as 0: a NaN, which passes through both comparisons.
    out[i] = v < least ? least : v > most ? most : v;
  }
}

const toInt32 = loop((out, x) => {
  truncateInto(out, x, -(2 ** 31), 2 ** 31 - 1);
});

const toUint32 = loop((out, x) => {
  truncateInto(out, x, 0, 2 ** 32 - 1);
});

export const convert_element_type: KernelRule<"convert_element_type"> = ({ inputs, params }): Implementation => {
  const from = typeAt(inputs, 0).dtype;
  if (params.dtype === from) return { kind: "alias" };
  if (params.dtype === "bool") return toBool;
  if (params.dtype === "int32" && isFloat(from)) return toInt32;
  if (params.dtype === "uint32" && isFloat(from)) return toUint32;
  return toStorage;
};
