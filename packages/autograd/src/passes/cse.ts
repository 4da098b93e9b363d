/** Common subexpressions: of equations that compute the same from the same, the first is kept. */
import { type Atom, type Equation, type Graph, isVar, mapNestedGraphs, nestedGraphs, type Var } from "../ir/graph.ts";
import { type ParamValue, printGraph, printLiteral, sortedParams } from "../ir/print.ts";
import { formatType } from "../ir/tensor-type.ts";
import { rebuild } from "./substitution.ts";

export function commonSubexpressions(graph: Graph): Graph {
  const names = new Map<Var, string>();
  /** By everything but the text of nested graphs, which is compared only where all else is equal. */
  const seen = new Map<string, Equation[]>();
  const name = (atom: Atom): string => {
    if (!isVar(atom)) return printLiteral(atom);
    const known = names.get(atom) ?? `%${names.size}`;
    names.set(atom, known);
    return known;
  };
  return rebuild(graph, (original, substitution) => {
    const equation = mapNestedGraphs(original, commonSubexpressions);
    const key = `${equation.primitive}${paramsKey(equation)}(${equation.inputs.map(name).join(",")})`;
    const alike = seen.get(key);
    const first = alike?.find((other) => sameGraphs(other, equation));
    if (first === undefined) {
      if (alike === undefined) seen.set(key, [equation]);
      else alike.push(equation);
      return [equation];
    }
    equation.outputs.forEach((v, i) => {
      const same = first.outputs[i];
      if (same !== undefined) substitution.replace(v, same);
    });
    return [];
  });
}

/** Whether the graphs nested in two equations of one primitive are equal. */
function sameGraphs(a: Equation, b: Equation): boolean {
  const others = nestedGraphs(b);
  return nestedGraphs(a).every(([, graph], i) => {
    const other = others[i]?.[1];
    return other !== undefined && printGraph(graph) === printGraph(other);
  });
}

function paramsKey(equation: Equation): string {
  return sortedParams(equation)
    .map(([name, value]) => `;${name}=${valueKey(value)}`)
    .join("");
}

function valueKey(value: ParamValue): string {
  if (typeof value !== "object") return String(value);
  if ("equations" in value) return `graph of ${value.equations.length}`;
  return "dtype" in value ? formatType(value) : JSON.stringify(value);
}
