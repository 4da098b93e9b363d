/** The reverse sweep: copies a graph into the open trace, then walks its equations backwards, adding up cotangents. */
import { GraphError, NotDifferentiableError } from "../errors.ts";
import { type Atom, type Equation, type EquationOf, type Graph, isVar, type Var } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import { isFloat } from "../ir/tensor-type.ts";
import { zerosLike } from "../ops/creation.ts";
import { add } from "../ops/elementwise.ts";
import { copyEquation, Environment } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { graphActivity } from "./activity.ts";
import { type SavingRule, type VjpRule, type VjpTable, zeroCotangent } from "./rule.ts";

/** One per value; null is zero. */
type Cotangents = readonly (Tracer | null)[];

export interface Sweep {
  readonly outputs: readonly Tracer[];
  /** From one cotangent per output (null for zero) to one cotangent per input. */
  readonly pullback: (cotangents: Cotangents) => readonly Tracer[];
}

/** A graph to differentiate: which of its inputs want a cotangent. Inputs that are not floats never do. */
export interface SweepOptions {
  readonly wanted?: readonly boolean[];
  /** Values of the graph that are there already: all results of an equation or none. They are not computed again. */
  readonly known?: ReadonlyMap<Var, Tracer>;
}

/** Applies `graph` to `args` in the open trace and prepares its reverse pass. `table` holds the rules. */
export function sweep(graph: Graph, args: readonly Tracer[], table: VjpTable, options: SweepOptions = {}): Sweep {
  const environment = new Environment();
  graph.inputs.forEach((v, i) => {
    const arg = args[i];
    if (arg === undefined)
      throw new GraphError(`a graph of ${graph.inputs.length} inputs was applied to ${args.length}`);
    environment.set(v, arg);
  });
  const wanted = graph.inputs.filter((v, i) => isFloat(v.type.dtype) && options.wanted?.[i] !== false);
  const { active, varied } = graphActivity(graph, wanted, table);
  const steps: BackwardStep[] = [];
  const compute = (equation: Equation): void => {
    if (!take(equation, options.known, environment)) copyEquation(equation, environment);
  };
  for (const equation of graph.equations) {
    if (!active.has(equation)) {
      compute(equation);
      continue;
    }
    const needs = equation.inputs.map((atom) => varied.has(atom));
    const { outputs, run } = forward(equation, table, needs, environment, compute);
    steps.push({ equation, needs, outputs, run });
  }
  return {
    outputs: graph.outputs.map((atom) => environment.get(atom)),
    pullback: (cotangents) => backward(graph, args, steps, cotangents),
  };
}

interface Differentiated {
  readonly outputs: readonly Tracer[];
  readonly run: (cotangents: Cotangents) => Cotangents;
}

interface BackwardStep extends Differentiated {
  readonly equation: Equation;
  readonly needs: readonly boolean[];
}

/** Whether the results of an equation are known; then they are in the environment. */
function take({ outputs }: Equation, known: SweepOptions["known"], environment: Environment): boolean {
  const values = outputs.map((v) => known?.get(v));
  if (!values.every((value) => value !== undefined)) return false;
  outputs.forEach((v, i) => {
    const value = values[i];
    if (value !== undefined) environment.set(v, value);
  });
  return true;
}

/** Computes one active equation in the open trace, together with what its rule wants to save. */
function forward<P extends PrimitiveName>(
  equation: EquationOf<P>,
  table: VjpTable,
  needs: readonly boolean[],
  environment: Environment,
  compute: (equation: Equation) => void,
): Differentiated {
  const { primitive, params } = equation;
  const rule: VjpRule<P> = table[primitive];
  const inputs = equation.inputs.map((atom) => environment.get(atom));
  if (rule === zeroCotangent) throw new GraphError(`${primitive}: no gradient flows through it`);
  if (isSaving(rule)) {
    const { outputs, saved } = rule.forward({ inputs, params, needs });
    equation.outputs.forEach((v, i) => {
      const output = outputs[i];
      if (output !== undefined) environment.set(v, output);
    });
    return { outputs, run: (g) => rule.backward(g, { inputs, outputs, params, needs, saved }) };
  }
  compute(equation as Equation);
  const outputs = equation.outputs.map((v) => environment.get(v));
  const run = (g: Cotangents): Cotangents => {
    if (typeof rule === "object") throw new NotDifferentiableError(`${primitive}: ${rule.notDifferentiable}`);
    const cotangents = outputs.map((y, i) => g[i] ?? zerosLike(y));
    return rule(cotangents, { inputs, outputs, params, needs });
  };
  return { outputs, run };
}

function isSaving<P extends PrimitiveName>(rule: VjpRule<P>): rule is SavingRule<P> {
  return typeof rule === "object" && "forward" in rule;
}

function backward(
  graph: Graph,
  args: readonly Tracer[],
  steps: readonly BackwardStep[],
  cotangents: Cotangents,
): readonly Tracer[] {
  const sums = new Map<Var, Tracer>();
  const accumulate = (atom: Atom | undefined, g: Tracer | null | undefined): void => {
    if (atom === undefined || !isVar(atom) || !g) return;
    const sum = sums.get(atom);
    sums.set(atom, sum === undefined ? g : add(sum, g));
  };
  graph.outputs.forEach((atom, i) => {
    accumulate(atom, cotangents[i]);
  });
  for (const { equation, needs, run } of steps.toReversed()) {
    const given = equation.outputs.map((v) => sums.get(v) ?? null);
    if (given.every((g) => g === null)) continue;
    const flowing = run(given);
    equation.inputs.forEach((atom, i) => {
      if (needs[i] === true) accumulate(atom, flowing[i]);
    });
  }
  return graph.inputs.map((v, i) => sums.get(v) ?? zerosLike(args[i] ?? 0));
}
