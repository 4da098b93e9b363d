/** An interpreter, equation by equation and loops step by step, that lets another change each result. */
import {
  allocateHost,
  type Atom,
  type Equation,
  type EquationOf,
  type Graph,
  type HostArray,
  isFloat,
  isVar,
  sizeOf,
  Var,
} from "@banach/autograd/backend";
import { type CompiledGraph, compileGraph } from "@banach/autograd/reference";

/** Changes the results of an equation in place. `again` computes the same equation from other operands. */
export type Change = (
  equation: Equation,
  operands: readonly HostArray[],
  results: readonly HostArray[],
  again: (operands: readonly HostArray[]) => readonly HostArray[],
) => void;

/** Compiled equations, kept as long as the equations are. */
const compiled = new WeakMap<Equation, CompiledGraph>();

function compile(equation: Equation): CompiledGraph {
  const known = compiled.get(equation);
  if (known !== undefined) return known;
  const inputs = equation.inputs.map(({ type }) => new Var(type));
  const outputs = equation.outputs.map(({ type }) => new Var(type));
  const made = compileGraph({ inputs, equations: [{ ...equation, inputs, outputs }], outputs });
  compiled.set(equation, made);
  return made;
}

/**
 * Runs a verified graph, in the graph's own dtypes but for literals, which have the value that float32 gives them.
 * `change` sees every equation that carries no graph.
 */
export function interpret(graph: Graph, inputs: readonly HostArray[], change: Change): HostArray[] {
  const values = new Map<Var, HostArray>();
  const read = (atom: Atom): HostArray => {
    if (isVar(atom)) return values.get(atom)!;
    const { dtype } = atom.type;
    return allocateHost(dtype, 1).fill(isFloat(dtype) ? Math.fround(atom.value) : atom.value);
  };
  graph.inputs.forEach((v, i) => values.set(v, inputs[i]!));
  for (const equation of graph.equations) {
    const results = apply(equation, equation.inputs.map(read), change);
    equation.outputs.forEach((v, i) => values.set(v, results[i]!));
  }
  return graph.outputs.map(read);
}

function apply(equation: Equation, operands: readonly HostArray[], change: Change): readonly HostArray[] {
  switch (equation.primitive) {
    case "custom_vjp_call":
      return interpret(equation.params.primal, operands, change);
    case "scan":
      return runScan(equation, operands, change);
    case "while":
      return runWhile(equation, operands, change);
    default: {
      const again = (others: readonly HostArray[]): readonly HostArray[] => compile(equation).run(others).outputs;
      const results = again(operands);
      change(equation, operands, results, again);
      return results;
    }
  }
}

function runScan(equation: EquationOf<"scan">, operands: readonly HostArray[], change: Change): HostArray[] {
  const { body, consts, carry, length, reverse } = equation.params;
  const constants = operands.slice(0, consts);
  const stacked = operands.slice(consts + carry);
  const results = equation.outputs.map(({ type }) => allocateHost(type.dtype, sizeOf(type.shape)));
  let carried = operands.slice(consts, consts + carry);
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const rows = stacked.map((x) => x.slice((t * x.length) / length, ((t + 1) * x.length) / length));
    const next = interpret(body, [...constants, ...carried, ...rows], change);
    carried = next.slice(0, carry);
    next.slice(carry).forEach((row, k) => results[carry + k]!.set(row, t * row.length));
  }
  return [...carried, ...results.slice(carry)];
}

function runWhile(equation: EquationOf<"while">, operands: readonly HostArray[], change: Change): HostArray[] {
  const { cond, body, condConsts, bodyConsts, maxSteps } = equation.params;
  const forCond = operands.slice(0, condConsts);
  const forBody = operands.slice(condConsts, condConsts + bodyConsts);
  const steps = new Int32Array(sizeOf(equation.outputs.at(-1)!.type.shape));
  const active = new Uint8Array(steps.length).fill(1);
  let carry = operands.slice(condConsts + bodyConsts);
  for (let step = 0; step < maxSteps; step++) {
    const [goesOn] = interpret(cond, [...forCond, ...carry], change);
    active.forEach((is, row) => (active[row] = is & goesOn![row]!));
    if (!active.includes(1)) break;
    active.forEach((is, row) => (steps[row]! += is));
    const next = interpret(body, [...forBody, ...carry], change);
    // A finished row keeps what it had.
    carry = carry.map((old, k) => {
      const size = old.length / active.length;
      return next[k]!.map((x, i) => (active[Math.floor(i / size)] === 1 ? x : old[i]!));
    });
  }
  return [...carry, steps];
}
