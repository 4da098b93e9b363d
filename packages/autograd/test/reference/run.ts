/** Runs the text of a graph on plain numbers. */
import { parseGraph } from "../../src/ir/parse.ts";
import { allocateHost, type HostArray } from "../../src/ir/tensor-type.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";

export function run(text: string, ...inputs: readonly (readonly number[])[]): number[][] {
  const graph = parseGraph(text);
  const data = graph.inputs.map(({ type }, i): HostArray => {
    const values = inputs[i] ?? [];
    const array = allocateHost(type.dtype, values.length);
    array.set(values);
    return array;
  });
  return evaluateGraph(graph, data).map((output) => Array.from(output));
}

/** The results of one primitive: `call("add", "float32[2]", ["float32[2]", "float32[2]"], ...)`. */
export function call(
  primitive: string,
  result: string,
  operands: readonly string[],
  ...inputs: readonly (readonly number[])[]
): number[] {
  const names = operands.map((type, i) => `%${i}: ${type}`);
  const reads = operands.map((_, i) => `%${i}`);
  const out = `%${operands.length}`;
  const [only] = run(
    `graph(${names.join(", ")}) { ${out}: ${result} = ${primitive}(${reads.join(", ")}) return (${out}) }`,
    ...inputs,
  );
  return only ?? [];
}
