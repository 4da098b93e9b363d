/** What every pass does: rebuild a graph equation by equation while values are replaced by others. */
import { type Atom, type Equation, type Graph, isVar, rewire, type Var } from "../ir/graph.ts";

/** Replacements of values, followed to their end. */
export class Substitution {
  private readonly replacements = new Map<Var, Atom>();

  replace(v: Var, by: Atom): void {
    this.replacements.set(v, by);
  }

  get(atom: Atom): Atom {
    return isVar(atom) ? (this.replacements.get(atom) ?? atom) : atom;
  }

  /** The equation with its operands replaced; the same object when none is. */
  apply(equation: Equation): Equation {
    const { inputs, outputs } = equation;
    const changes = inputs.some((atom) => this.get(atom) !== atom);
    return changes
      ? rewire(
          equation,
          inputs.map((atom) => this.get(atom)),
          outputs,
        )
      : equation;
  }
}

/**
 * Rebuilds a graph. `visit` sees each equation with its operands already replaced and returns the equations to stand in
 * its place; it may record replacements for the results.
 */
export function rebuild(
  graph: Graph,
  visit: (equation: Equation, substitution: Substitution) => readonly Equation[],
): Graph {
  const substitution = new Substitution();
  const equations: Equation[] = [];
  for (const equation of graph.equations) equations.push(...visit(substitution.apply(equation), substitution));
  return { inputs: graph.inputs, equations, outputs: graph.outputs.map((atom) => substitution.get(atom)) };
}
