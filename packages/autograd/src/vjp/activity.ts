/** Which values a gradient has to flow through: what depends on what, followed into the bodies of scans. */
import { type Atom, type Equation, type EquationOf, type Graph, isVar } from "../ir/graph.ts";
import { isFloat } from "../ir/tensor-type.ts";
import { type VjpTable, zeroCotangent } from "./rule.ts";

type Mask = readonly boolean[];
type ScanParams = EquationOf<"scan">["params"];

export interface GraphActivity {
  /** Depend on a wanted input, and the outputs depend on them. Only these are asked for a rule. */
  readonly active: ReadonlySet<Equation>;
  /** Depend on a wanted input. */
  readonly varied: ReadonlySet<Atom>;
}

/** The activity of a graph whose inputs in `wanted` are differentiated, and whose outputs all count. */
export function graphActivity(graph: Graph, wanted: readonly Atom[], table: VjpTable): GraphActivity {
  const varied = new Set(wanted);
  markVaried(graph, varied, table);
  const useful = new Set(graph.outputs);
  const active = new Set<Equation>();
  for (const equation of graph.equations.toReversed()) {
    if (!equation.outputs.some((v) => useful.has(v) && varied.has(v))) continue;
    active.add(equation);
    markInputs(equation, useful, table);
  }
  return { active, varied };
}

export interface ScanFlow {
  /** Per input of the scan: a gradient is wanted. */
  readonly needs: Mask;
  /** Per output of the scan: a cotangent comes in. */
  readonly given: Mask;
}

export interface ScanActivity {
  /** Equations of the body that depend on a wanted input and on which a given output depends, also by way of the carry. */
  readonly active: readonly Equation[];
  /** Per input of the body: at some step a cotangent flows into it. */
  readonly inputs: Mask;
  /** Per carry: a cotangent flows into what some step leaves there. */
  readonly carried: Mask;
}

/** The activity of the body of a scan over all of its steps. */
export function scanActivity(params: ScanParams, { needs, given }: ScanFlow, table: VjpTable): ScanActivity {
  const varied = variedInBody(params, needs, table);
  const useful = usefulInBody(params, given, table);
  const { body, consts, carry } = params;
  const carries = body.inputs.slice(consts, consts + carry);
  return {
    active: body.equations.filter(({ outputs }) => outputs.some((v) => varied.has(v) && useful.has(v))),
    inputs: body.inputs.map((v) => varied.has(v) && useful.has(v)),
    carried: carries.map((v, i) => varied.has(v) && has(useful, body.outputs[i])),
  };
}

const has = (set: ReadonlySet<Atom>, atom: Atom | undefined): boolean => atom !== undefined && set.has(atom);

function variedInBody(params: ScanParams, needs: Mask, table: VjpTable): ReadonlySet<Atom> {
  const { body, consts, carry } = params;
  const varied = new Set<Atom>(body.inputs.filter((_, i) => needs[i] === true));
  for (let before = -1; before !== varied.size;) {
    before = varied.size;
    markVaried(body, varied, table);
    body.inputs.slice(consts, consts + carry).forEach((v, i) => {
      if (has(varied, body.outputs[i])) varied.add(v);
    });
  }
  return varied;
}

function usefulInBody(params: ScanParams, given: Mask, table: VjpTable): ReadonlySet<Atom> {
  const { body, consts, carry } = params;
  const useful = new Set<Atom>(body.outputs.filter((_, i) => given[i] === true));
  for (let before = -1; before !== useful.size;) {
    before = useful.size;
    for (const equation of body.equations.toReversed()) markInputs(equation, useful, table);
    body.inputs.slice(consts, consts + carry).forEach((v, i) => {
      const next = body.outputs[i];
      if (next !== undefined && useful.has(v)) useful.add(next);
    });
  }
  return useful;
}

/** Adds the floats that depend on a value in `varied` other than through a zero cotangent. */
function markVaried(graph: Graph, varied: Set<Atom>, table: VjpTable): void {
  for (const equation of graph.equations) {
    const mask = variedOutputs(equation, varied, table);
    equation.outputs.forEach((v, i) => {
      if (mask[i] === true && isFloat(v.type.dtype)) varied.add(v);
    });
  }
}

function variedOutputs(equation: Equation, varied: ReadonlySet<Atom>, table: VjpTable): Mask {
  const { primitive, inputs, outputs } = equation;
  const needs = inputs.map((atom) => varied.has(atom));
  if (table[primitive] === zeroCotangent || !needs.includes(true)) return [];
  if (primitive !== "scan") return outputs.map(() => true);
  const { body, consts, carry } = equation.params;
  const inside = variedInBody(equation.params, needs, table);
  // A scan of no step returns its first carry, so a carry depends on that in any case.
  return body.outputs.map((atom, i) => inside.has(atom) || (i < carry && has(inside, body.inputs[consts + i])));
}

/** Adds the values on which a result in `useful` depends other than through a zero cotangent. */
function markInputs(equation: Equation, useful: Set<Atom>, table: VjpTable): void {
  const { primitive, inputs, outputs } = equation;
  const given = outputs.map((v) => useful.has(v));
  if (table[primitive] === zeroCotangent || !given.includes(true)) return;
  const mask = primitive === "scan" ? usefulInputs(equation, given, table) : null;
  inputs.forEach((atom, i) => {
    if (isVar(atom) && mask?.[i] !== false) useful.add(atom);
  });
}

function usefulInputs({ params }: EquationOf<"scan">, given: Mask, table: VjpTable): Mask {
  const { body, consts, carry } = params;
  const inside = usefulInBody(params, given, table);
  return body.inputs.map((v, i) => {
    const isCarry = i >= consts && i < consts + carry;
    return inside.has(v) || (isCarry && has(inside, body.outputs[i - consts]));
  });
}
