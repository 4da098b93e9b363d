/** Types only: a table that lacks a primitive must not compile. tsc checks this file; an unused expectation is an error. */
import { type InferTable, inferTable } from "../../src/ir/infer.ts";
import type { SampleTable } from "../../src/testing/sample.ts";
import { samples } from "../../src/testing/samples.ts";
import type { VjpTable } from "../../src/vjp/rule.ts";
import { vjpTable } from "../../src/vjp/table.ts";

const { tanh: _rule, ...rules } = vjpTable;
// @ts-expect-error tanh has no differentiation rule
export const incompleteRules: VjpTable = rules;

const { tanh: _inference, ...inference } = inferTable;
// @ts-expect-error tanh has no inference rule
export const incompleteInference: InferTable = inference;

const { tanh: _samples, ...someSamples } = samples;
// @ts-expect-error tanh has no samples
export const incompleteSamples: SampleTable = someSamples;

/** A rule of another primitive's parameters does not fit either. */
// @ts-expect-error transpose has a permutation, reshape has a shape
export const mixed: VjpTable = { ...vjpTable, transpose: (g, { params }) => [g[0] ?? null, params.shape] };

export const complete: readonly [VjpTable, InferTable, SampleTable] = [
  { ...rules, tanh: _rule },
  { ...inference, tanh: _inference },
  { ...someSamples, tanh: _samples },
];
