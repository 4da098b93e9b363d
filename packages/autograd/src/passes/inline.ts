/** Inlining: once gradients are taken, custom_vjp_call is its primal and stop_gradient the identity. */
import { type Equation, type Graph, mapNestedGraphs, rewire, Var } from "../ir/graph.ts";
import { rebuild, Substitution } from "./substitution.ts";

export function inline(graph: Graph): Graph {
  return rebuild(graph, (equation, substitution) => {
    if (equation.primitive === "stop_gradient") {
      const [[x], [y]] = [equation.inputs, equation.outputs];
      if (x !== undefined && y !== undefined) substitution.replace(y, x);
      return [];
    }
    if (equation.primitive !== "custom_vjp_call") return [mapNestedGraphs(equation, inline)];
    const { equations, outputs } = instantiate(inline(equation.params.primal), equation);
    equation.outputs.forEach((v, i) => {
      const result = outputs[i];
      if (result !== undefined) substitution.replace(v, result);
    });
    return equations;
  });
}

/** The body with fresh values, its inputs replaced by the operands of the call. */
function instantiate(body: Graph, call: Equation): Pick<Graph, "equations" | "outputs"> {
  const local = new Substitution();
  body.inputs.forEach((v, i) => {
    const operand = call.inputs[i];
    if (operand !== undefined) local.replace(v, operand);
  });
  const equations = body.equations.map((equation) => {
    const inputs = equation.inputs.map((atom) => local.get(atom));
    const outputs = equation.outputs.map((v) => {
      const fresh = new Var(v.type);
      local.replace(v, fresh);
      return fresh;
    });
    return rewire(equation, inputs, outputs);
  });
  return { equations, outputs: body.outputs.map((atom) => local.get(atom)) };
}
