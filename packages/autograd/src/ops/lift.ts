/** Turns operands into tracers of one dtype and one shape: the only place where values are promoted and broadcast. */
import { DTypeError, ShapeError } from "../errors.ts";
import { isConcreteArray } from "../ir/concrete-array.ts";
import {
  type DType,
  dimOf,
  formatType,
  isFloat,
  isInteger,
  sameShape,
  sameType,
  type Shape,
  type TensorType,
} from "../ir/tensor-type.ts";
import { capture, emit1, literalTracer } from "../trace/builder.ts";
import { type Operand, Tracer } from "../trace/tracer.ts";

/** dtype of a JavaScript number that meets no tensor. */
const DEFAULT_FLOAT: DType = "float32";

/** An operand as a tracer. Numbers take `dtype`, or float32 (booleans bool) when no tensor decides. */
export function lift(op: string, operand: Operand, dtype?: DType): Tracer {
  if (operand instanceof Tracer) return operand;
  if (isConcreteArray(operand)) return capture(operand);
  if (typeof operand === "boolean") return literalTracer(dtype ?? "bool", operand);
  if (typeof operand === "number") {
    if (dtype !== undefined) requireHolds(op, dtype, operand, dtype);
    return literalTracer(dtype ?? DEFAULT_FLOAT, operand);
  }
  throw new DTypeError(`${op}: expected a tensor or a number, got ${typeof operand} ${String(operand)}`);
}

/** Throws DTypeError unless an integer dtype holds the number; `meets` is what the number has to be of one dtype with. */
function requireHolds(op: string, dtype: DType, value: number, meets: string): void {
  if (!isInteger(dtype) || (dtype === "int32" ? value | 0 : value >>> 0) === value) return;
  throw new DTypeError(
    `${op}: ${value} does not fit ${meets}; convert the tensor with astype("float32"), or round the number`,
  );
}

const FLOAT_RANK: readonly DType[] = ["float16", "float32", "float64"];

/**
 * The dtype that holds both: the wider float, or the float of a float and an integer or bool, or the integer of an
 * integer and a bool. Throws DTypeError for int32 with uint32, of which neither holds the other.
 */
export function promoteDTypes(op: string, a: DType, b: DType): DType {
  if (a === b || b === "bool") return a;
  if (a === "bool") return b;
  if (isFloat(a) && isFloat(b)) return FLOAT_RANK.indexOf(a) > FLOAT_RANK.indexOf(b) ? a : b;
  if (isFloat(a)) return a;
  if (isFloat(b)) return b;
  throw new DTypeError(`${op}: ${a} and ${b} have no common dtype; convert one with astype`);
}

/** The shape to which both broadcast, aligned at the last axis. Throws ShapeError naming both types. */
export function broadcastShapes(op: string, a: TensorType, b: TensorType): Shape {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a.shape[axis - rank + a.shape.length] ?? 1;
    const n = b.shape[axis - rank + b.shape.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${op}: ${formatType(a)} and ${formatType(b)} do not broadcast, axis ${axis - rank} has sizes ${m} and ${n}; they must be equal or one of them 1`,
      );
    }
    return m === 1 ? n : m;
  });
}

/** Repeats `x` to `shape`, aligned at the last axis. */
export function broadcastTo(operand: Operand, shape: Shape): Tracer {
  const x = lift("broadcastTo", operand);
  if (sameShape(x.shape, shape)) return x;
  const offset = shape.length - x.rank;
  const fits = offset >= 0 && x.shape.every((dim, axis) => dim === 1 || dim === dimOf(shape, axis + offset));
  if (!fits) throw new ShapeError(`broadcastTo: ${formatType(x.type)} does not broadcast to [${shape.join(",")}]`);
  return emit1("broadcast_in_dim", [x], { shape, dims: x.shape.map((_, axis) => axis + offset) });
}

/** Converts to a dtype; a no-op when it has it. */
export function astype(operand: Operand, dtype: DType): Tracer {
  const x = lift("astype", operand);
  return x.dtype === dtype ? x : emit1("convert_element_type", [x], { dtype });
}

/** Two or more operands, promoted to one dtype and broadcast to one shape. */
export function unify(op: string, operands: readonly Operand[]): readonly Tracer[] {
  if (areAlike(operands)) return operands;
  const tensors = operands.filter((operand) => typeof operand === "object").map((operand) => lift(op, operand));
  const dtype = commonDType(op, tensors, operands);
  const [first] = tensors;
  for (const operand of operands) {
    if (typeof operand === "number" && first !== undefined) requireHolds(op, dtype, operand, formatType(first.type));
  }
  const lifted = operands.map((operand) => astype(lift(op, operand, dtype), dtype));
  const { shape } = lifted.map((x) => x.type).reduce((a, b) => ({ dtype, shape: broadcastShapes(op, a, b) }));
  return lifted.map((x) => broadcastTo(x, shape));
}

/** Tracers of one type, which nothing has to be done about. */
function areAlike(operands: readonly Operand[]): operands is readonly Tracer[] {
  const [first] = operands;
  return (
    first instanceof Tracer &&
    operands.every((operand) => operand instanceof Tracer && sameType(operand.type, first.type))
  );
}

/** Numbers are weak: they decide only that a bool tensor becomes a number, or a whole expression float32. */
function commonDType(op: string, tensors: readonly Tracer[], operands: readonly Operand[]): DType {
  const hasNumber = operands.some((operand) => typeof operand === "number");
  const [first, ...rest] = tensors.map((x) => x.dtype);
  if (first === undefined) return hasNumber ? DEFAULT_FLOAT : "bool";
  const dtype = rest.reduce((a, b) => promoteDTypes(op, a, b), first);
  return dtype === "bool" && hasNumber ? DEFAULT_FLOAT : dtype;
}

/** Exactly two operands unified. */
export function unifyPair(op: string, a: Operand, b: Operand): readonly [Tracer, Tracer] {
  const [x, y] = unify(op, [a, b]);
  if (x === undefined || y === undefined) throw new ShapeError(`${op}: takes 2 operands`);
  return [x, y];
}

/** A non-negative axis. Throws ShapeError naming the operand. */
export function normalizeAxis(op: string, x: Tracer, axis: number): number {
  const normal = axis < 0 ? axis + x.rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= x.rank) {
    throw new ShapeError(`${op}: axis ${axis} is out of range for ${formatType(x.type)}`);
  }
  return normal;
}

/** Sorted non-negative axes without repeats; all axes when none are given. */
export function normalizeAxes(op: string, x: Tracer, axes: number | readonly number[] | undefined): readonly number[] {
  if (axes === undefined) return x.shape.map((_, axis) => axis);
  const normal = (typeof axes === "number" ? [axes] : axes).map((axis) => normalizeAxis(op, x, axis));
  if (new Set(normal).size !== normal.length) {
    throw new ShapeError(`${op}: axes [${normal.join(",")}] of ${formatType(x.type)} repeat`);
  }
  return normal.sort((a, b) => a - b);
}
