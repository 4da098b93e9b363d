/** The five rungs: independent ways to see that a rule is wrong, each blind to something that another one sees. */
import { BanachError } from "../../errors.ts";
import { compileGraph } from "../../reference/interpret.ts";
import { traceOpen } from "../../trace/builder.ts";
import { sweep } from "../../vjp/sweep.ts";
import { permutation } from "../data.ts";
import { energyGradientGraph } from "../graph-tools.ts";
import { complexStep } from "./complex.ts";
import { ComplexStepRefused } from "./complex-scalar.ts";
import { type Derivative, ridders } from "./differences.ts";
import { cotangents, directions, domainSizes, type Subject } from "./subject.ts";
import { dot, largest, norm, relativeError, sizeOfAll, type Vectors } from "./vectors.ts";

export type RungName = "complex" | "richardson" | "dot" | "taylor" | "second";

export interface RungResult {
  readonly rung: RungName;
  readonly status: "passed" | "failed" | "refused";
  /** Relative error; for `taylor` the distance of the slope from 2. */
  readonly error: number;
  /** Why it was refused, or what was measured. */
  readonly detail: string;
}

const EPSILON = 2 ** -52;
const DOT_SEEDS = 20;
const COORDINATES = 12;

function judge(rung: RungName, error: number, tolerance: number, detail: string): RungResult {
  return { rung, status: error <= tolerance ? "passed" : "failed", error, detail };
}

function refuse(rung: RungName, detail: string): RungResult {
  return { rung, status: "refused", error: 0, detail };
}

/** Unit vectors along some coordinates of the domain: all of them if there are few. */
function coordinates(subject: Subject): { readonly input: number; readonly element: number; readonly v: Vectors }[] {
  const sizes = domainSizes(subject);
  const all = sizes.flatMap((size, input) => Array.from({ length: size }, (_, element) => ({ input, element })));
  const chosen = permutation(subject.seed, 0x77, all.length).slice(0, COORDINATES);
  return chosen.flatMap((n) => {
    const at = all[n];
    if (at === undefined) return [];
    const v = sizes.map((size, i) =>
      Float64Array.from({ length: size }, (_, j) => (i === at.input && j === at.element ? 1 : 0)),
    );
    return [{ ...at, v }];
  });
}

/** Elements of the gradient of <F, u> against directional derivatives of it. */
function elementwise(subject: Subject, jvp: (v: Vectors) => Vectors): { actual: Float64Array; expected: Float64Array } {
  const u = cotangents(subject, 0x100);
  const gradient = subject.pullback(u);
  const chosen = coordinates(subject);
  return {
    actual: Float64Array.from(chosen, ({ input, element }) => gradient[input]?.[element] ?? NaN),
    expected: Float64Array.from(chosen, ({ v }) => dot(jvp(v), u)),
  };
}

/** Rung 1: exact to rounding, where the function is holomorphic. */
export function complexRung(subject: Subject): RungResult {
  try {
    const { actual, expected } = elementwise(subject, (v) => subject.complexJvp(v));
    return judge("complex", relativeError([actual], [expected]), 1e-11, `${actual.length} elements`);
  } catch (error) {
    if (error instanceof ComplexStepRefused) return refuse("complex", error.message);
    throw error;
  }
}

function differenceJvp(subject: Subject, v: Vectors): Derivative {
  const sizes = subject.outputs.map((x) => x.length);
  const total = sizes.reduce((a, b) => a + b, 0);
  return ridders((t) => {
    const flat = new Float64Array(total);
    let offset = 0;
    for (const y of subject.move(v, t)) {
      flat.set(y, offset);
      offset += y.length;
    }
    return flat;
  });
}

function unflattenLike(flat: Float64Array, like: Vectors): Float64Array[] {
  let offset = 0;
  return like.map(({ length }) => flat.slice(offset, (offset += length)));
}

const KINK = "the function is not smooth enough here";
const HELD = "something in it is held constant, which differences do not know";
/** Largest part of the derivative that a difference may be unsure of. */
const UNSURE = 1e-5;

/** Rung 2: needs only values of the function; at a tie, a central difference is the mean of both sides. */
export function richardsonRung(subject: Subject): RungResult {
  if (subject.holdsConstant) return refuse("richardson", HELD);
  let unsure = 0;
  const { actual, expected } = elementwise(subject, (v) => {
    const { value, error } = differenceJvp(subject, v);
    unsure = Math.max(unsure, ...error.filter((e) => Number.isFinite(e)));
    return unflattenLike(value, subject.outputs);
  });
  const scale = Math.max(largest([expected]), largest([actual]));
  const estimate = scale === 0 ? 0 : unsure / scale;
  if (estimate > UNSURE) return refuse("richardson", `differences are unsure by ${estimate.toExponential(1)}`);
  return judge(
    "richardson",
    relativeError([actual], [expected]),
    Math.max(1e-8, 20 * estimate),
    `estimated error ${estimate.toExponential(1)}`,
  );
}

/** Rung 3: <J v, u> = <v, J^T u> in random directions, with J v from rung 1, or from rung 2 where there is no complex path. */
export function dotRung(subject: Subject): RungResult {
  let [worst, source, slack] = [0, "complex step", 0];
  for (let k = 0; k < DOT_SEEDS; k++) {
    const v = directions(domainSizes(subject), subject.seed, 0x1000 + 16 * k);
    const u = cotangents(subject, 0x2000 + 16 * k);
    let jv: Vectors;
    try {
      jv = subject.complexJvp(v);
    } catch (error) {
      if (!(error instanceof ComplexStepRefused)) throw error;
      if (subject.holdsConstant) return refuse("dot", error.message);
      [source, slack] = ["differences", 1e-7];
      jv = unflattenLike(differenceJvp(subject, v).value, subject.outputs);
    }
    const jtu = subject.pullback(u);
    const scale = norm(jv) * norm(u) + norm(v) * norm(jtu);
    if (scale > 0) worst = Math.max(worst, Math.abs(dot(jv, u) - dot(v, jtu)) / scale);
    if (Number.isNaN(scale)) worst = NaN;
  }
  const n = Math.max(sizeOfAll(subject.inputs), sizeOfAll(subject.outputs), 8);
  return judge("dot", worst, 8 * n * EPSILON + slack, `${DOT_SEEDS} seeds, J v by ${source}`);
}

const FIRST_STEP = 2 ** -9;
const LAST_STEP = 2 ** -13;

/** Rung 4: the remainder of the first-order expansion falls with the square of the step. Needs no tolerance. */
export function taylorRung(subject: Subject): RungResult {
  if (subject.holdsConstant) return refuse("taylor", HELD);
  if (subject.regularity === "kink") return refuse("taylor", KINK);
  const u = cotangents(subject, 0x300);
  const gradient = subject.pullback(u);
  const base = dot(subject.outputs, u);
  const along = Array.from({ length: 4 }, (_, k) => directions(domainSizes(subject), subject.seed, 0x400 + 16 * k));
  let magnitude = Math.abs(base);
  const remainder = (h: number): number =>
    Math.hypot(
      ...along.map((v) => {
        const slope = dot(gradient, v);
        magnitude = Math.max(magnitude, Math.abs(slope));
        return dot(subject.move(v, h), u) - base - h * slope;
      }),
    );
  const [coarse, fine] = [remainder(FIRST_STEP), remainder(LAST_STEP)];
  const rounding = 64 * EPSILON * Math.max(magnitude, norm(subject.outputs) * norm(u));
  if (coarse <= 8 * rounding && fine <= 8 * rounding) return judge("taylor", 0, 0.1, "no remainder: linear");
  const slope = Math.log2(coarse / fine) / Math.log2(FIRST_STEP / LAST_STEP);
  if (fine <= rounding * 8 && coarse < rounding * 1024) return refuse("taylor", "the remainder is lost in rounding");
  return judge("taylor", Math.abs(slope - 2), 0.1, `slope ${slope.toFixed(3)}`);
}

/** Rung 5: Hessian-vector products of a curved function of F, reverse over reverse, and their symmetry. */
export function secondRung(subject: Subject): RungResult {
  if (subject.regularity !== "smooth") return refuse("second", KINK);
  const gradientGraph = energyGradientGraph(subject.graph, subject.table, subject.wrt);
  const { inputs, table, wrt } = subject;
  const weights = cotangents(subject, 0x500);
  const given = [...inputs, ...weights];
  const hessianGraph = traceOpen(
    [...gradientGraph.inputs.map((v) => v.type), ...gradientGraph.outputs.map((atom) => atom.type)],
    (args) => {
      const wanted = given.map((_, i) => wrt.includes(i));
      const { pullback } = sweep(gradientGraph, args.slice(0, given.length), table, { wanted });
      const products = pullback(args.slice(given.length));
      return wrt.flatMap((i) => products[i] ?? []);
    },
  ).graph;
  const hessian = compileGraph(hessianGraph);
  const sizes = domainSizes(subject);
  const [v, w] = [directions(sizes, subject.seed, 0x600), directions(sizes, subject.seed, 0x700)];
  const [hv, hw] = [hessian.run([...given, ...v]).outputs, hessian.run([...given, ...w]).outputs];
  const scale = norm(hv) * norm(w) + norm(hw) * norm(v);
  const asymmetry = scale === 0 ? 0 : Math.abs(dot(hv, w) - dot(hw, v)) / scale;
  try {
    const along = given.map((_, i) => v[wrt.indexOf(i)] ?? null);
    const error = relativeError(hv, complexStep(gradientGraph, given, along));
    return judge("second", Math.max(error, asymmetry), 1e-10, `asymmetry ${asymmetry.toExponential(1)}`);
  } catch (error) {
    if (!(error instanceof ComplexStepRefused)) throw error;
    return judge("second", asymmetry, 1e-10, `symmetry only: ${error.message}`);
  }
}

/** A rung that must not end the audit: an error of the framework is a failure with its message. */
export function attempt(rung: RungName, run: () => RungResult): RungResult {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof BanachError)) throw error;
    return { rung, status: "failed", error: NaN, detail: error.message };
  }
}
