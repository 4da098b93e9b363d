/** The canonical text of a graph: equal programs print alike, so the text is the key of the executable cache. */
import { type Atom, type Equation, type Graph, isVar, type Literal, type Var } from "./graph.ts";
import { formatType, type TensorType } from "./tensor-type.ts";

/** A value that may stand in an equation's parameters. */
export type ParamValue = number | boolean | string | TensorType | Graph | readonly ParamValue[];

/** The text that `parseGraph` reads back. Values are numbered in the order of their definition. */
export function printGraph(graph: Graph): string {
  return print(graph, "");
}

function print(graph: Graph, indent: string): string {
  const names = new Map<Var, string>();
  const define = (v: Var): string => {
    const name = `%${names.size}`;
    names.set(v, name);
    return `${name}: ${formatType(v.type)}`;
  };
  const use = (atom: Atom): string => (isVar(atom) ? (names.get(atom) ?? "%unbound") : printLiteral(atom));
  const lines = [`graph(${graph.inputs.map(define).join(", ")}) {`];
  for (const equation of graph.equations) {
    const inputs = equation.inputs.map(use).join(", ");
    const outputs = equation.outputs.map(define).join(", ");
    lines.push(`${indent}  ${outputs} = ${equation.primitive}${printParams(equation, indent)}(${inputs})`);
  }
  lines.push(`${indent}  return (${graph.outputs.map(use).join(", ")})`, `${indent}}`);
  return lines.join("\n");
}

/** The parameters in alphabetical order. */
export function sortedParams({ params }: Equation): readonly (readonly [string, ParamValue])[] {
  const entries = Object.entries(params) as [string, ParamValue][];
  return entries.length < 2 ? entries : entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

function printParams(equation: Equation, indent: string): string {
  const params = sortedParams(equation);
  if (params.length === 0) return "";
  return `{${params.map(([name, value]) => `${name}=${printValue(value, indent)}`).join(", ")}}`;
}

function printValue(value: ParamValue, indent: string): string {
  if (isList(value)) return `[${value.map((item) => printValue(item, indent)).join(",")}]`;
  if (typeof value !== "object") return String(value);
  return "dtype" in value ? formatType(value) : print(value, `${indent}  `);
}

function isList(value: ParamValue): value is readonly ParamValue[] {
  return Array.isArray(value);
}

/** `float32(1.5)`. */
export function printLiteral(literal: Literal): string {
  const { dtype } = literal.type;
  const text = Object.is(literal.value, -0) ? "-0" : String(literal.value);
  return `${dtype}(${text})`;
}
