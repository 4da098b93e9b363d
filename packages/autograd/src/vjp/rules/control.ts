/** Vector-Jacobian products of the primitives that carry graphs. */
import { NotDifferentiableError } from "../../errors.ts";
import type { Equation, Graph, Var } from "../../ir/graph.ts";
import { isVar } from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import { scan as scanOver, stopGradient } from "../../ops/control.ts";
import { zerosLike } from "../../ops/creation.ts";
import { add } from "../../ops/elementwise.ts";
import { emit, inlineGraph } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import { scanActivity } from "../activity.ts";
import type { NotDifferentiable, SavingRule, VjpTable } from "../rule.ts";
import { sweep } from "../sweep.ts";

/** The user's own rule: its forward graph in place of the primal, its backward graph on what that saved. */
export const custom_vjp_call: SavingRule<"custom_vjp_call"> = {
  forward: ({ inputs, params: { primal, forward } }) => {
    const results = inlineGraph(forward, inputs);
    return { outputs: results.slice(0, primal.outputs.length), saved: results.slice(primal.outputs.length) };
  },
  backward: (cotangents, { outputs, params: { backward }, saved }) =>
    inlineGraph(backward, [...saved, ...outputs.map((y, i) => cotangents[i] ?? zerosLike(y))]),
};

export const whileRule: NotDifferentiable = {
  notDifferentiable:
    "a while loop has no reverse-mode derivative, because its number of steps is only known afterwards; put stopGradient around its result, use scan for a fixed number of steps, or fixedPoint with an adjoint",
};

/** Products per element from which computing a contraction again costs more than writing it to memory and back. */
const LONG = 16;

/** Functions whose value takes longer to compute than to write to memory and read back. */
const TRANSCENDENTAL: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  "exp",
  "expm1",
  "log",
  "log1p",
  "tanh",
  "logistic",
  "sin",
  "cos",
  "pow",
]);

/**
 * Equations of a scan's body whose results its reverse saves instead of recomputing: loops, which it could not run again
 * without their cost, results of stop_gradient, behind which they may stand, contractions, and transcendental functions.
 */
function savedEquations(body: Graph): readonly Equation[] {
  const inputs = new Set<unknown>(body.inputs);
  return body.equations.filter((equation) => {
    const [x] = equation.inputs;
    switch (equation.primitive) {
      case "while":
        return true;
      case "stop_gradient":
        return x !== undefined && isVar(x) && !inputs.has(x);
      case "dot_general":
        return equation.params.contracting[0].reduce((size, axis) => size * (x?.type.shape[axis] ?? 1), 1) >= LONG;
      default:
        return TRANSCENDENTAL.has(equation.primitive);
    }
  });
}

/** The reverse takes the result of a while as given: no gradient may have to flow through it. */
function requireNoLoop(active: readonly Equation[]): void {
  if (active.some(({ primitive }) => primitive === "while")) {
    throw new NotDifferentiableError(`while: ${whileRule.notDifferentiable}`);
  }
}

function zip<A, B>(a: readonly A[], b: readonly B[]): (readonly [A, B])[] {
  return a.flatMap((x, i) => b.slice(i, i + 1).map((y) => [x, y] as const));
}

const pickBy = <T>(list: readonly T[], mask: readonly boolean[]): T[] => list.filter((_, i) => mask[i] === true);

/** Puts a list back at the places where `mask` holds, null elsewhere. */
function spread<T>(list: readonly T[], mask: readonly boolean[]): (T | null)[] {
  let next = 0;
  return mask.map((wanted) => (wanted ? (list[next++] ?? null) : null));
}

/**
 * The reverse of a scan is a scan the other way round. The forward pass also stacks the carry that enters each step and
 * the results of `savedEquations`; the reverse recomputes the rest of each step, threads the carry's cotangent
 * and adds up the cotangents of the constants. `table` is passed in because a body may hold any primitive.
 */
export function scanRule(table: () => VjpTable): SavingRule<"scan"> {
  return {
    forward: ({ inputs, params }) => {
      const { body, consts, carry } = params;
      const savedBy = savedEquations(body).flatMap(({ primitive, outputs }) => outputs.map((v) => ({ primitive, v })));
      const entering = body.inputs.slice(consts, consts + carry);
      const results = emit("scan", inputs, {
        ...params,
        body: { ...body, outputs: [...body.outputs, ...entering, ...savedBy.map(({ v }) => v)] },
      });
      const first = body.outputs.length + carry;
      // When the gradient is differentiated again, nothing flows back to the results of stop_gradient. Those of while stay
      // what they are, so that a gradient that has to flow through one is refused then as it is now.
      const constant = results
        .slice(first)
        .map((x, i) => (savedBy[i]?.primitive === "stop_gradient" ? stopGradient(x) : x));
      return {
        outputs: results.slice(0, body.outputs.length),
        saved: [...results.slice(body.outputs.length, first), ...constant],
      };
    },
    backward: (cotangents, { inputs, outputs, params, needs, saved }) => {
      const { body, consts, carry, length, reverse } = params;
      const activity = scanActivity(params, { needs, given: cotangents.map((g) => g !== null) }, table());
      requireNoLoop(activity.active);
      const savedValues = savedEquations(body).flatMap((equation): readonly Var[] => equation.outputs);
      const constants = inputs.slice(0, consts);
      const stacked = inputs.slice(consts + carry);
      const constNeeds = activity.inputs.slice(0, consts);
      const stackedNeeds = activity.inputs.slice(consts + carry);
      const { carried: carryNeeds } = activity;
      const lastCotangents = pickBy(cotangents.slice(0, carry), carryNeeds);
      const [last, perStep] = scanOver(
        ({ carried, sums }, x) => {
          const known = new Map(zip(savedValues, x.saved));
          const args = [...constants, ...x.entering, ...x.stacked];
          const { pullback } = sweep(body, args, table(), { wanted: activity.inputs, known });
          const flowing = pullback([...spread(carried, carryNeeds), ...x.cotangents]);
          const flowingCarry = flowing.slice(consts, consts + carry);
          const flowingConsts = pickBy(flowing.slice(0, consts), constNeeds);
          return [
            { carried: pickBy(flowingCarry, carryNeeds), sums: sums.map((sum, i) => add(sum, flowingConsts[i] ?? 0)) },
            pickBy(flowing.slice(consts + carry, consts + carry + stacked.length), stackedNeeds),
          ];
        },
        {
          carried: pickBy(outputs.slice(0, carry), carryNeeds).map((y, i) => lastCotangents[i] ?? zerosLike(y)),
          sums: pickBy(constants, constNeeds).map((x) => zerosLike(x)),
        },
        {
          entering: saved.slice(0, carry),
          saved: saved.slice(carry),
          stacked,
          cotangents: cotangents.slice(carry),
        },
        { length, reverse: !reverse },
      );
      return [
        ...spread<Tracer>(last.sums, constNeeds),
        ...spread<Tracer>(last.carried, carryNeeds),
        ...spread<Tracer>(perStep, stackedNeeds),
      ];
    },
  };
}
