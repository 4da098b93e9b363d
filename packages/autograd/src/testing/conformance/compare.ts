/** Compares the outputs of a float32 backend with the float64 reference, element by element, within a budget. */
import { BanachError } from "../../errors.ts";
import type { Equation, Graph } from "../../ir/graph.ts";
import { allocateHost, formatType, type HostArray, isFloat } from "../../ir/tensor-type.ts";
import { compileGraph } from "../../reference/interpret.ts";
import { retype, widen } from "../graph-tools.ts";
import { type Budget, gamma, ulp } from "./budgets.ts";

/** A backend does not conform; the message says where and by how much. */
export class ConformanceError extends BanachError {}

const SMALLEST_NORMAL = 2 ** -126;
/** Where float32 overflows. */
const LIMIT = 2 ** 128;

/** What the reference says about one application of a primitive. */
export interface Reference {
  readonly equation: Equation;
  readonly inputs: readonly HostArray[];
  readonly outputs: readonly HostArray[];
  /** The same with denormal inputs taken as zeros, which a device may do. */
  readonly flushed: readonly HostArray[];
  /** Largest size of the terms of each element. */
  readonly magnitudes: readonly HostArray[];
}

/** Runs the graph of a sample in float64. */
export function makeReference(graph: Graph, inputs: readonly HostArray[]): Reference {
  const [equation] = graph.equations;
  if (equation === undefined) throw new ConformanceError("a sample's graph has no equation");
  const wide = compileGraph(retype(graph));
  const run = (f: (x: number) => number): readonly HostArray[] =>
    wide.run(widen(graph, inputs).map((x) => (x instanceof Float64Array ? x.map(f) : x))).outputs;
  return {
    equation,
    inputs,
    outputs: run((x) => x),
    flushed: run((x) => (Math.abs(x) < SMALLEST_NORMAL ? 0 * Math.sign(x) : x)),
    magnitudes: run(Math.abs),
  };
}

export interface CompareOptions {
  readonly budget: Budget;
  /** False where the device may assume that there are no NaN and no infinities: then they are not compared. */
  readonly ieeeNonFinite: boolean;
}

/** The error of one element. */
export interface ElementError {
  /** In units in the last place of float32. */
  readonly ulps: number;
  /** As part of what its budget allows. */
  readonly share: number;
}

const NO_ERROR: ElementError = { ulps: 0, share: 0 };

/** Errors of the elements of all float outputs. Throws ConformanceError at the first that is too large. */
export function compareOutputs(
  reference: Reference,
  actual: readonly HostArray[],
  options: CompareOptions,
): ElementError[] {
  const errors: ElementError[] = [];
  reference.equation.outputs.forEach(({ type }, k) => {
    const [expected, data] = [reference.outputs[k], actual[k]];
    if (expected === undefined || data?.constructor !== allocateHost(type.dtype, 0).constructor) {
      throw new ConformanceError(`result ${k} should be stored as ${formatType(type)} is`);
    }
    if (data.length !== expected.length) {
      throw new ConformanceError(`result ${k} should have ${expected.length} elements, got ${data.length}`);
    }
    const isReal = isFloat(type.dtype);
    for (let i = 0; i < data.length; i++) {
      if (!isReal) requireEqual(reference, k, i, data[i] ?? NaN, options);
      else errors.push(compareFloat(reference, k, i, data[i] ?? NaN, options));
    }
  });
  return errors;
}

function fail(reference: Reference, k: number, i: number, actual: number, tolerance: number): never {
  const operands = operandsAt(reference, i).map((x) => format(x));
  throw new ConformanceError(
    `element ${i} of result ${k} is ${format(actual)}, the reference says ${format(reference.outputs[k]?.[i] ?? NaN)}` +
      ` (tolerance ${tolerance.toExponential(2)}; operands there: ${operands.join(", ") || "none"})`,
  );
}

const format = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** The operands at the position of an element, where they have one. */
function operandsAt({ inputs }: Reference, i: number): number[] {
  return inputs.flatMap((x) => (i < x.length ? [x[i] ?? 0] : []));
}

function requireEqual(reference: Reference, k: number, i: number, actual: number, options: CompareOptions): void {
  const isSkipped = !options.ieeeNonFinite && reference.equation.primitive !== "is_finite";
  if (isSkipped && operandsAt(reference, i).some((x) => !Number.isFinite(x))) return;
  if (actual === reference.outputs[k]?.[i] || actual === reference.flushed[k]?.[i]) return;
  fail(reference, k, i, actual, 0);
}

/** Infinities and what overflows as one number, so that a result just below the limit is near one just above it. */
const clamp = (x: number): number => Math.min(Math.max(x, -LIMIT), LIMIT);

function compareFloat(
  reference: Reference,
  k: number,
  i: number,
  actual: number,
  options: CompareOptions,
): ElementError {
  const candidates = [reference.outputs[k]?.[i] ?? NaN, reference.flushed[k]?.[i] ?? NaN];
  const operands = operandsAt(reference, i);
  if (!options.ieeeNonFinite && [...candidates, ...operands].some((x) => !Number.isFinite(x))) return NO_ERROR;
  if (isUnspecified(reference.equation, operands)) return NO_ERROR;
  for (const expected of candidates) {
    const error = distance(expected, actual, options.budget);
    if (error === 0 || (error <= SMALLEST_NORMAL && Math.abs(expected) < SMALLEST_NORMAL)) return NO_ERROR;
    const tolerance = toleranceOf(reference, k, i, expected, options.budget);
    if (error <= tolerance) return { ulps: error / ulp(clamp(expected)), share: error / tolerance };
  }
  return fail(reference, k, i, actual, toleranceOf(reference, k, i, candidates[0] ?? NaN, options.budget));
}

/** IEEE 754 and ECMAScript differ here: 1 to the power of anything, and -1 to an infinite one. */
function isUnspecified({ primitive }: Equation, [a = 0, b = 0]: readonly number[]): boolean {
  return primitive === "pow" && Math.abs(a) === 1 && !Number.isFinite(b);
}

function distance(expected: number, actual: number, budget: Budget): number {
  if (Number.isNaN(expected) || Number.isNaN(actual))
    return Number.isNaN(expected) && Number.isNaN(actual) ? 0 : Infinity;
  if (!Number.isFinite(expected)) return actual === expected ? 0 : Infinity;
  switch (budget.kind) {
    case "bits":
      return Object.is(Math.fround(expected), actual) || Object.is(expected, actual) ? 0 : Infinity;
    case "rounded":
      if (Math.fround(expected) === actual || expected === actual) return 0;
      return actual === 0 && Math.abs(expected) < SMALLEST_NORMAL ? Math.abs(expected) : Infinity;
    default:
      return Math.abs(clamp(expected) - clamp(actual));
  }
}

/** Steps of a loop multiply what one step may be wrong by. */
const ULPS_PER_STEP = 32;

function toleranceOf(reference: Reference, k: number, i: number, expected: number, budget: Budget): number {
  switch (budget.kind) {
    case "bits":
    case "rounded":
      return 0;
    case "elementwise":
      return budget.tolerance(clamp(expected), operandsAt(reference, i));
    case "accumulated":
      return gamma(budget.roundings(reference.equation)) * (reference.magnitudes[k]?.[i] ?? 0) + ulp(clamp(expected));
    case "composite": {
      const finite = Array.from(reference.outputs[k] ?? []).filter((x) => Number.isFinite(x));
      const most = finite.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
      return ULPS_PER_STEP * Math.max(1, budget.steps(reference.equation)) * ulp(most);
    }
    default:
      return budget satisfies never;
  }
}
