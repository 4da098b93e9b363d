/** Complex rules of the primitives that carry graphs: the loops are run step by step. */
import { GraphError } from "../../errors.ts";
import { type HostArray, sizeOf } from "../../ir/tensor-type.ts";
import type { Complex, ComplexRule } from "./complex.ts";

export const custom_vjp_call: ComplexRule<"custom_vjp_call"> = (inputs, { params }, { evaluate }) =>
  evaluate(params.primal, inputs);

function rowOf({ re, im }: Complex, t: number, size: number): Complex {
  const cut = (x: HostArray): HostArray => x.slice(t * size, (t + 1) * size);
  return { re: cut(re), im: im === null ? null : cut(im) };
}

export const scan: ComplexRule<"scan"> = (inputs, equation, { real, evaluate }) => {
  const { body, consts, carry, length, reverse } = equation.params;
  const constants = inputs.slice(0, consts);
  const stacked = inputs.slice(consts + carry);
  let carried = inputs.slice(consts, consts + carry);
  // The stacked results come from the reference with zeros for imaginary parts; the loop fills both in.
  const ys = real(inputs.map(({ re }) => re))
    .slice(carry)
    .map((re) => ({ re, im: new Float64Array(re.length) }));
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const rows = stacked.map((x) => rowOf(x, t, x.re.length / length));
    const results = evaluate(body, [...constants, ...carried, ...rows]);
    carried = results.slice(0, carry);
    results.slice(carry).forEach(({ re, im }, k) => {
      ys[k]?.re.set(re, t * re.length);
      if (im !== null) ys[k]?.im.set(im, t * re.length);
    });
  }
  return [...carried, ...ys];
};

export const while_: ComplexRule<"while"> = (inputs, equation, { evaluate }) => {
  const { cond, body, condConsts, bodyConsts, maxSteps } = equation.params;
  const forCond = inputs.slice(0, condConsts);
  const forBody = inputs.slice(condConsts, condConsts + bodyConsts);
  const rows = sizeOf(equation.outputs.at(-1)?.type.shape ?? []);
  const [steps, active] = [new Int32Array(rows), new Uint8Array(rows).fill(1)];
  let carry: readonly Complex[] = inputs.slice(condConsts + bodyConsts);
  for (let step = 0; step < maxSteps; step++) {
    const predicate = evaluate(cond, [...forCond, ...carry])[0]?.re;
    if (predicate === undefined) throw new GraphError("while: the predicate has no result");
    active.forEach((is, r) => (active[r] = is === 1 && predicate[r] !== 0 ? 1 : 0));
    if (!active.includes(1)) break;
    active.forEach((is, r) => (steps[r] = (steps[r] ?? 0) + is));
    const next = evaluate(body, [...forBody, ...carry]);
    carry = carry.map((old, k) => freeze(active, old, next[k] ?? old));
  }
  return [...carry, { re: steps, im: null }];
};

/** Rows that are no longer active keep their old values. */
function freeze(active: Uint8Array, old: Complex, next: Complex): Complex {
  const size = old.re.length / active.length;
  const isActive = (i: number): boolean => active[Math.floor(i / size)] === 1;
  const re = next.re.map((x, i) => (isActive(i) ? x : (old.re[i] ?? 0)));
  if (old.im === null && next.im === null) return { re, im: null };
  return { re, im: Float64Array.from(re, (_, i) => (isActive(i) ? next.im : old.im)?.[i] ?? 0) };
}
