/** Checks shared by the inference rules; every message names the primitive and the types that clash. */
import { DTypeError, ShapeError } from "../../errors.ts";
import { formatType, isFloat, sameShape, type Shape, type TensorType } from "../tensor-type.ts";

export function formatShape(shape: Shape): string {
  return `[${shape.join(",")}]`;
}

function formatTypes(types: readonly TensorType[]): string {
  return types.map(formatType).join(" and ");
}

/** Exactly one operand. */
export function one(op: string, inputs: readonly TensorType[]): TensorType {
  const [x] = inputs;
  if (x === undefined || inputs.length !== 1) throw new ShapeError(`${op}: takes 1 operand, got ${inputs.length}`);
  return x;
}

/** Exactly two operands. */
export function two(op: string, inputs: readonly TensorType[]): readonly [TensorType, TensorType] {
  const [a, b] = inputs;
  if (a === undefined || b === undefined || inputs.length !== 2) {
    throw new ShapeError(`${op}: takes 2 operands, got ${inputs.length}`);
  }
  return [a, b];
}

/** Exactly three operands. */
export function three(op: string, inputs: readonly TensorType[]): readonly [TensorType, TensorType, TensorType] {
  const [a, b, c] = inputs;
  if (a === undefined || b === undefined || c === undefined || inputs.length !== 3) {
    throw new ShapeError(`${op}: takes 3 operands, got ${inputs.length}`);
  }
  return [a, b, c];
}

export function requireFloat(op: string, type: TensorType): void {
  if (!isFloat(type.dtype)) throw new DTypeError(`${op}: needs a float operand, got ${formatType(type)}`);
}

export function requireNumeric(op: string, type: TensorType): void {
  if (type.dtype === "bool") {
    throw new DTypeError(`${op}: needs a numeric operand, got ${formatType(type)}; convert it with astype`);
  }
}

export function requireDType(op: string, what: string, type: TensorType, dtype: TensorType["dtype"]): void {
  if (type.dtype !== dtype) throw new DTypeError(`${op}: ${what} must be ${dtype}, got ${formatType(type)}`);
}

export function requireSameShape(op: string, types: readonly TensorType[]): void {
  const [first] = types;
  if (first !== undefined && !types.every((type) => sameShape(type.shape, first.shape))) {
    throw new ShapeError(`${op}: shapes differ, ${formatTypes(types)}`);
  }
}

export function requireSameDType(op: string, types: readonly TensorType[]): void {
  const [first] = types;
  if (first !== undefined && !types.every((type) => type.dtype === first.dtype)) {
    throw new DTypeError(`${op}: dtypes differ, ${formatTypes(types)}`);
  }
}

export function requireAxis(op: string, type: TensorType, axis: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= type.shape.length) {
    throw new ShapeError(`${op}: axis ${axis} is out of range for ${formatType(type)}`);
  }
}

/** Axes in range and strictly increasing, the canonical form. */
export function requireAxes(op: string, type: TensorType, axes: readonly number[]): void {
  axes.forEach((axis, i) => {
    requireAxis(op, type, axis);
    const previous = axes[i - 1];
    if (previous !== undefined && previous >= axis) {
      throw new ShapeError(`${op}: axes ${formatShape(axes)} must be strictly increasing`);
    }
  });
}

/** One integer per axis of the operand, each at least `least`. */
export function requireList(op: string, name: string, list: readonly number[], type: TensorType, least: number): void {
  const rank = type.shape.length;
  if (list.length !== rank || !list.every((n) => Number.isSafeInteger(n) && n >= least)) {
    throw new ShapeError(
      `${op}: ${name} must be ${rank} integers of at least ${least} for ${formatType(type)}, got ${formatShape(list)}`,
    );
  }
}
