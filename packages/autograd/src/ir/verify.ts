/** The verifier: a graph that passes is closed, single-assignment and well typed, and so are the graphs nested in it. */
import { GraphError } from "../errors.ts";
import { type Atom, type Equation, type Graph, isVar, nestedGraphs, type Var } from "./graph.ts";
import { inferEquation } from "./infer.ts";
import { formatType, sameType } from "./tensor-type.ts";

/** Throws GraphError (or the ShapeError or DTypeError of the offending equation) if the graph breaks a rule. */
export function verify(graph: Graph): void {
  const defined = new Set<Var>();
  const define = (v: Var, where: string): void => {
    if (defined.has(v)) throw new GraphError(`${where}: ${formatType(v.type)} is assigned twice`);
    defined.add(v);
  };
  const use = (atom: Atom, where: string): void => {
    if (isVar(atom) && !defined.has(atom)) {
      throw new GraphError(
        `${where}: ${formatType(atom.type)} is used before it is assigned, or belongs to another graph`,
      );
    }
  };
  graph.inputs.forEach((v) => {
    define(v, "graph inputs");
  });
  graph.equations.forEach((equation, i) => {
    const where = `equation ${i} (${equation.primitive})`;
    equation.inputs.forEach((atom) => {
      use(atom, where);
    });
    verifyEquation(equation, where);
    equation.outputs.forEach((v) => {
      define(v, where);
    });
  });
  graph.outputs.forEach((atom) => {
    use(atom, "graph outputs");
  });
}

function verifyEquation(equation: Equation, where: string): void {
  for (const [, nested] of nestedGraphs(equation)) verify(nested);
  const expected = inferEquation(equation);
  const fits =
    expected.length === equation.outputs.length &&
    expected.every((type, i) => sameType(type, equation.outputs[i]?.type ?? { dtype: "bool", shape: [-1] }));
  if (!fits) {
    const actual = equation.outputs.map((v) => formatType(v.type)).join(", ");
    throw new GraphError(`${where}: results are (${actual}), inference says (${expected.map(formatType).join(", ")})`);
  }
}
