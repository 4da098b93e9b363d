/** Result type of dot_general. */
import { ShapeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import { dimOf, formatType, type TensorType } from "../tensor-type.ts";
import { requireAxis, requireNumeric, requireSameDType, two } from "./check.ts";

const OP = "dot_general";

function requirePairs(what: string, a: TensorType, b: TensorType, pairs: readonly (readonly number[])[]): void {
  const [left, right] = pairs;
  if (left === undefined || right === undefined || pairs.length !== 2 || left.length !== right.length) {
    throw new ShapeError(`${OP}: ${what} axes must be two lists of one length`);
  }
  left.forEach((axis, i) => {
    const other = dimOf(right, i);
    requireAxis(OP, a, axis);
    requireAxis(OP, b, other);
    const [m, n] = [dimOf(a.shape, axis), dimOf(b.shape, other)];
    if (m !== n) {
      throw new ShapeError(
        `${OP}: ${what} sizes differ, ${formatType(a)} axis ${axis} (${m}) and ${formatType(b)} axis ${other} (${n})`,
      );
    }
  });
}

function requireDistinct(type: TensorType, axes: readonly number[]): void {
  if (new Set(axes).size !== axes.length) {
    throw new ShapeError(
      `${OP}: axes [${axes.join(",")}] of ${formatType(type)} repeat; batch and contracting axes must be distinct`,
    );
  }
}

/** Axes that are neither batch nor contracted, in order. */
export function freeAxes(rank: number, batch: readonly number[], contracting: readonly number[]): number[] {
  const free: number[] = [];
  for (let axis = 0; axis < rank; axis++) if (!batch.includes(axis) && !contracting.includes(axis)) free.push(axis);
  return free;
}

export const dot_general: InferRule<"dot_general"> = (inputs, { contracting, batch }) => {
  const [a, b] = two(OP, inputs);
  requireSameDType(OP, inputs);
  requireNumeric(OP, a);
  requirePairs("batch", a, b, batch);
  requirePairs("contracting", a, b, contracting);
  requireDistinct(a, [...batch[0], ...contracting[0]]);
  requireDistinct(b, [...batch[1], ...contracting[1]]);
  const shape = [
    ...batch[0].map((axis) => dimOf(a.shape, axis)),
    ...freeAxes(a.shape.length, batch[0], contracting[0]).map((axis) => dimOf(a.shape, axis)),
    ...freeAxes(b.shape.length, batch[1], contracting[1]).map((axis) => dimOf(b.shape, axis)),
  ];
  return [{ dtype: a.dtype, shape }];
};
