/** Common subexpressions: of equations that compute the same from the same, the first is kept. */
import { type Atom, type Equation, type Graph, isVar, mapNestedGraphs, type Var } from "../ir/graph.ts";
import { type ParamValue, printGraph, printLiteral } from "../ir/print.ts";
import { formatType } from "../ir/tensor-type.ts";
import { rebuild } from "./substitution.ts";

export function commonSubexpressions(graph: Graph): Graph {
  const numbers = new Map<Var, number>();
  const seen = new Map<string, Equation>();
  const name = (atom: Atom): string => {
    if (!isVar(atom)) return printLiteral(atom);
    const number = numbers.get(atom) ?? numbers.size;
    numbers.set(atom, number);
    return `%${number}`;
  };
  return rebuild(graph, (original, substitution) => {
    const equation = mapNestedGraphs(original, commonSubexpressions);
    const key = `${equation.primitive}${paramsKey(equation)}(${equation.inputs.map(name).join(",")})`;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, equation);
      return [equation];
    }
    equation.outputs.forEach((v, i) => {
      const same = first.outputs[i];
      if (same !== undefined) substitution.replace(v, same);
    });
    return [];
  });
}

function paramsKey(equation: Equation): string {
  const params: Readonly<Record<string, ParamValue>> = { ...equation.params };
  return Object.keys(params)
    .sort()
    .map((key) => `;${key}=${valueKey(params[key] ?? [])}`)
    .join("");
}

function valueKey(value: ParamValue): string {
  if (typeof value !== "object") return String(value);
  if ("equations" in value) return printGraph(value);
  return "dtype" in value ? formatType(value) : JSON.stringify(value);
}
