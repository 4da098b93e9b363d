/** Result types of the primitives that carry graphs: each nested graph must fit the operands. */
import { GraphError, ShapeError } from "../../errors.ts";
import type { Graph } from "../graph.ts";
import type { InferRule } from "../infer.ts";
import { formatType, sameType, tensorType, type TensorType } from "../tensor-type.ts";
import { one } from "./check.ts";

function requireTypes(what: string, actual: readonly TensorType[], expected: readonly TensorType[]): void {
  const fits = actual.length === expected.length && actual.every((type, i) => sameType(type, expected[i] ?? type));
  if (!fits) {
    const list = (types: readonly TensorType[]): string => `(${types.map(formatType).join(", ")})`;
    throw new GraphError(`${what}: got ${list(actual)}, expected ${list(expected)}`);
  }
}

function requireCount(what: string, n: number): void {
  if (!Number.isSafeInteger(n) || n < 0) throw new GraphError(`${what} must be a non-negative integer, got ${n}`);
}

const inputTypes = (graph: Graph): TensorType[] => graph.inputs.map((v) => v.type);
const outputTypes = (graph: Graph): TensorType[] => graph.outputs.map((atom) => atom.type);

export const stop_gradient: InferRule<"stop_gradient"> = (inputs) => [one("stop_gradient", inputs)];

export const custom_vjp_call: InferRule<"custom_vjp_call"> = (inputs, { primal, forward, backward, residuals }) => {
  requireCount("custom_vjp_call: residuals", residuals);
  const outputs = outputTypes(primal);
  const saved = outputTypes(forward).slice(outputs.length);
  requireTypes("custom_vjp_call: inputs of primal", inputTypes(primal), inputs);
  requireTypes("custom_vjp_call: inputs of forward", inputTypes(forward), inputs);
  requireTypes("custom_vjp_call: results of forward", outputTypes(forward).slice(0, outputs.length), outputs);
  if (saved.length !== residuals) {
    throw new GraphError(`custom_vjp_call: forward returns ${saved.length} residuals, ${residuals} declared`);
  }
  requireTypes("custom_vjp_call: inputs of backward", inputTypes(backward), [...saved, ...outputs]);
  requireTypes("custom_vjp_call: results of backward", outputTypes(backward), inputs);
  return outputs;
};

export const scan: InferRule<"scan"> = (inputs, { body, consts, carry, length }) => {
  requireCount("scan: consts", consts);
  requireCount("scan: carry", carry);
  requireCount("scan: length", length);
  const stacked = inputs.slice(consts + carry);
  for (const type of stacked) {
    if (type.shape[0] !== length) {
      throw new ShapeError(`scan: axis 0 of a stacked input must be the length ${length}, got ${formatType(type)}`);
    }
  }
  const slices = stacked.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }));
  requireTypes("scan: inputs of the body", inputTypes(body), [...inputs.slice(0, consts + carry), ...slices]);
  const carried = inputs.slice(consts, consts + carry);
  requireTypes("scan: the carry that the body returns", outputTypes(body).slice(0, carry), carried);
  const ys = outputTypes(body).slice(carry);
  return [...carried, ...ys.map(({ dtype, shape }) => tensorType(dtype, [length, ...shape]))];
};

export const while_: InferRule<"while"> = (inputs, { cond, body, condConsts, bodyConsts, maxSteps }) => {
  requireCount("while: condConsts", condConsts);
  requireCount("while: bodyConsts", bodyConsts);
  requireCount("while: maxSteps", maxSteps);
  const carry = inputs.slice(condConsts + bodyConsts);
  requireTypes("while: inputs of the predicate", inputTypes(cond), [...inputs.slice(0, condConsts), ...carry]);
  requireTypes("while: inputs of the body", inputTypes(body), [
    ...inputs.slice(condConsts, condConsts + bodyConsts),
    ...carry,
  ]);
  requireTypes("while: the carry that the body returns", outputTypes(body), carry);
  return [...carry, { dtype: "int32", shape: predicateShape(cond, carry) }];
};

function predicateShape(cond: Graph, carry: readonly TensorType[]): readonly number[] {
  const [predicate] = cond.outputs;
  if (predicate === undefined || cond.outputs.length !== 1 || predicate.type.dtype !== "bool") {
    throw new GraphError(
      `while: the predicate must return one bool, got (${outputTypes(cond).map(formatType).join(", ")})`,
    );
  }
  const { shape } = predicate.type;
  if (shape.length > 1)
    throw new ShapeError(`while: the predicate must be bool[] or bool[rows], got ${formatType(predicate.type)}`);
  const [rows] = shape;
  for (const type of carry) {
    if (rows !== undefined && type.shape[0] !== rows) {
      throw new ShapeError(
        `while: with a predicate of ${rows} rows, axis 0 of every carry must be ${rows}, got ${formatType(type)}`,
      );
    }
  }
  return shape;
}
