/** Dead code: equations that no result depends on go, and so do the parts of loops that nobody reads. */
import { type Atom, type Equation, type EquationOf, type Graph, isVar, type Var } from "../ir/graph.ts";

export function deadCode(graph: Graph): Graph {
  const live = new Set<Var>();
  const use = (atoms: readonly Atom[]): void => {
    for (const atom of atoms) if (isVar(atom)) live.add(atom);
  };
  use(graph.outputs);
  const equations: Equation[] = [];
  for (const equation of graph.equations.toReversed()) {
    if (!equation.outputs.some((v) => live.has(v))) continue;
    const kept = trim(equation, live);
    use(kept.inputs);
    equations.push(kept);
  }
  return { inputs: graph.inputs, equations: equations.reverse(), outputs: graph.outputs };
}

function trim(equation: Equation, live: ReadonlySet<Var>): Equation {
  switch (equation.primitive) {
    case "scan":
      return trimScan(equation, live);
    case "while":
      return trimWhile(equation);
    default:
      return equation;
  }
}

/** Values that the given results depend on. */
function dependencies(graph: Graph, outputs: readonly Atom[]): ReadonlySet<Atom> {
  const needed = new Set<Atom>(outputs);
  for (const equation of graph.equations.toReversed()) {
    if (equation.outputs.some((v) => needed.has(v))) for (const atom of equation.inputs) needed.add(atom);
  }
  return needed;
}

const filterBy = <T>(list: readonly T[], mask: readonly boolean[]): readonly T[] =>
  list.filter((_, i) => mask[i] === true);

/** A carry is live if its last value is, or if a live result of the body needs it. */
function liveCarries(equation: EquationOf<"scan">, live: ReadonlySet<Var>): readonly boolean[] {
  const { body, consts, carry } = equation.params;
  let kept = equation.outputs.slice(0, carry).map((v) => live.has(v));
  for (;;) {
    const wanted = body.outputs.filter((_, i) => {
      const v = equation.outputs[i];
      return i < carry ? kept[i] === true : v !== undefined && live.has(v);
    });
    const needed = dependencies(body, wanted);
    const next = kept.map((is, i) => {
      const v = body.inputs[consts + i];
      return is || (v !== undefined && needed.has(v));
    });
    if (next.every((is, i) => is === kept[i])) return kept;
    kept = next;
  }
}

/** Drops the carries, stacked results, stacked inputs and constants of a scan that nothing live depends on. */
function trimScan(equation: EquationOf<"scan">, live: ReadonlySet<Var>): Equation {
  const { body, consts, carry } = equation.params;
  const carries = liveCarries(equation, live);
  const outputs = equation.outputs.map((v, i) => (i < carry ? carries[i] === true : live.has(v)));
  const trimmed = deadCode({ ...body, outputs: filterBy(body.outputs, outputs) });
  const needed = dependencies(trimmed, trimmed.outputs);
  const inputs = body.inputs.map((v, i) =>
    i >= consts && i < consts + carry ? carries[i - consts] === true : needed.has(v),
  );
  return {
    primitive: "scan",
    params: {
      ...equation.params,
      body: { ...trimmed, inputs: filterBy(body.inputs, inputs) },
      consts: inputs.slice(0, consts).filter(Boolean).length,
      carry: carries.filter(Boolean).length,
    },
    inputs: filterBy(equation.inputs, inputs),
    outputs: filterBy(equation.outputs, outputs),
  };
}

/** Drops the constants of a while that its predicate or its body no longer reads. */
function trimWhile(equation: EquationOf<"while">): Equation {
  const { condConsts, bodyConsts } = equation.params;
  const [cond, body] = [deadCode(equation.params.cond), deadCode(equation.params.body)];
  const [forCond, forBody] = [dependencies(cond, cond.outputs), dependencies(body, body.outputs)];
  const condKept = cond.inputs.map((v, i) => i >= condConsts || forCond.has(v));
  const bodyKept = body.inputs.map((v, i) => i >= bodyConsts || forBody.has(v));
  const inputs = [...condKept.slice(0, condConsts), ...bodyKept.slice(0, bodyConsts)];
  return {
    primitive: "while",
    params: {
      ...equation.params,
      cond: { ...cond, inputs: filterBy(cond.inputs, condKept) },
      body: { ...body, inputs: filterBy(body.inputs, bodyKept) },
      condConsts: condKept.slice(0, condConsts).filter(Boolean).length,
      bodyConsts: bodyKept.slice(0, bodyConsts).filter(Boolean).length,
    },
    inputs: [
      ...filterBy(equation.inputs.slice(0, condConsts + bodyConsts), inputs),
      ...equation.inputs.slice(condConsts + bodyConsts),
    ],
    outputs: equation.outputs,
  };
}
