/** What each primitive does to complex operands: the total table of the complex interpreter. */
import type { Equation } from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import { type HostArray, isFloat, sizeOf } from "../../ir/tensor-type.ts";
import type { Complex, ComplexContext, ComplexRule } from "./complex.ts";
import { custom_vjp_call, scan, while_ } from "./complex-control.ts";
import * as scalar from "./complex-scalar.ts";

export type ComplexRuleTable = { readonly [P in PrimitiveName]: ComplexRule<P> };

type AnyRule = (inputs: readonly Complex[], equation: Equation, context: ComplexContext) => readonly Complex[];

export const imaginary = ({ re, im }: Complex): HostArray => im ?? new Float64Array(re.length);

function operand(inputs: readonly Complex[], i: number): Complex {
  return inputs[i] ?? { re: new Float64Array(0), im: null };
}

/** The result depends on the real parts only. */
const discrete: AnyRule = (inputs, _, { real }) => real(inputs.map(({ re }) => re)).map((re) => ({ re, im: null }));

/** Linear in its float operands taken together: both parts go the same way. */
const linear: AnyRule = (inputs, equation, { real }) => {
  const re = real(inputs.map((x) => x.re));
  const im = real(inputs.map((x, i) => (isFloat(equation.inputs[i]?.type.dtype ?? "bool") ? imaginary(x) : x.re)));
  return re.map((array, i) => {
    const dtype = equation.outputs[i]?.type.dtype ?? "bool";
    return { re: array, im: isFloat(dtype) ? (im[i] ?? null) : null };
  });
};

/** Linear in each of two float operands. */
const bilinear: AnyRule = (inputs, _, { real }) => {
  const [a, b] = [operand(inputs, 0), operand(inputs, 1)];
  const product = (x: HostArray, y: HostArray): HostArray => real([x, y])[0] ?? new Float64Array(0);
  const [ai, bi] = [imaginary(a), imaginary(b)];
  const [rr, ii, ri, ir] = [product(a.re, b.re), product(ai, bi), product(a.re, bi), product(ai, b.re)];
  return [{ re: rr.map((x, i) => x - (ii[i] ?? 0)), im: ri.map((x, i) => x + (ir[i] ?? 0)) }];
};

function unary(f: scalar.ComplexFunction): AnyRule {
  return (inputs) => {
    const x = operand(inputs, 0);
    return [zip(x.re.length, (i) => f(x.re[i] ?? 0, x.im?.[i] ?? 0))];
  };
}

function binary(f: (a: scalar.Z, b: scalar.Z) => scalar.Z): AnyRule {
  return (inputs) => {
    const [a, b] = [operand(inputs, 0), operand(inputs, 1)];
    return [zip(a.re.length, (i) => f([a.re[i] ?? 0, a.im?.[i] ?? 0], [b.re[i] ?? 0, b.im?.[i] ?? 0]))];
  };
}

function zip(length: number, f: (i: number) => scalar.Z): Complex {
  const [re, im] = [new Float64Array(length), new Float64Array(length)];
  for (let i = 0; i < length; i++) [re[i], im[i]] = f(i);
  return { re, im };
}

/** The imaginary part of the largest element; refused where it is not one. */
const reduceMax: ComplexRule<"reduce_max"> = (inputs, equation, { real }) => {
  const x = operand(inputs, 0);
  const re = real([x.re])[0] ?? new Float64Array(0);
  const im = new Float64Array(re.length).fill(NaN);
  const shape = equation.inputs[0]?.type.shape ?? [];
  x.re.forEach((value, i) => {
    const o = reducedIndex(shape, equation.params.axes, i);
    if (value !== re[o]) return;
    const part = x.im?.[i] ?? 0;
    const known = im[o] ?? NaN;
    if (!Number.isNaN(known) && known !== part) {
      throw new scalar.ComplexStepRefused("reduce_max at a tie has no complex path");
    }
    im[o] = part;
  });
  return [{ re, im }];
};

/** Where element `flat` of the operand goes when `axes` are reduced. */
function reducedIndex(shape: readonly number[], axes: readonly number[], flat: number): number {
  let [rest, index, stride] = [flat, 0, 1];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 1;
    if (!axes.includes(axis)) {
      index += (rest % size) * stride;
      stride *= size;
    }
    rest = Math.floor(rest / size);
  }
  return index;
}

const linearRecurrence: ComplexRule<"linear_recurrence"> = (inputs, { inputs: atoms, params: { axis, reverse } }) => {
  const [a, b] = [operand(inputs, 0), operand(inputs, 1)];
  const shape = atoms[0]?.type.shape ?? [];
  const [length, inner] = [shape[axis] ?? 0, sizeOf(shape.slice(axis + 1))];
  const [re, im] = [new Float64Array(a.re.length), new Float64Array(a.re.length)];
  for (let lane = 0; lane < a.re.length / Math.max(length, 1); lane++) {
    let h: scalar.Z = [0, 0];
    for (let step = 0; step < length; step++) {
      const t = reverse ? length - 1 - step : step;
      const i = (Math.floor(lane / inner) * length + t) * inner + (lane % inner);
      const product = scalar.multiply([a.re[i] ?? 0, a.im?.[i] ?? 0], h);
      h = [product[0] + (b.re[i] ?? 0), product[1] + (b.im?.[i] ?? 0)];
      [re[i], im[i]] = h;
    }
  }
  return [{ re, im }];
};

const stopGradient: AnyRule = ([x]) => [{ re: operand(x ? [x] : [], 0).re, im: null }];

export const complexRules: ComplexRuleTable = {
  neg: linear,
  abs: unary(scalar.abs),
  sign: unary(scalar.sign),
  floor: unary(scalar.floor),
  exp: unary(scalar.exp),
  log: unary(scalar.log),
  log1p: unary(scalar.log1p),
  expm1: unary(scalar.expm1),
  sin: unary(scalar.sin),
  cos: unary(scalar.cos),
  tanh: unary(scalar.tanh),
  logistic: unary(scalar.logistic),
  sqrt: unary(scalar.sqrt),
  rsqrt: unary(scalar.rsqrt),
  is_finite: discrete,
  not: discrete,
  convert_element_type: linear,
  add: linear,
  sub: linear,
  mul: binary(scalar.multiply),
  div: binary(scalar.divide),
  max: binary((a, b) => scalar.extreme(a, b, 1)),
  min: binary((a, b) => scalar.extreme(a, b, -1)),
  pow: binary(scalar.pow),
  and: discrete,
  or: discrete,
  compare: discrete,
  select: linear,
  reduce_sum: linear,
  reduce_max: reduceMax,
  argmax: discrete,
  dot_general: bilinear,
  linear_recurrence: linearRecurrence,
  reshape: linear,
  transpose: linear,
  broadcast_in_dim: linear,
  slice: linear,
  pad: linear,
  concatenate: linear,
  gather: linear,
  scatter_add: linear,
  iota: discrete,
  random_bits: discrete,
  stop_gradient: stopGradient,
  custom_vjp_call,
  scan,
  while: while_,
};
