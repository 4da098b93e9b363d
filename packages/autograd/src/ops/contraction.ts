/** Contractions: dot_general and the products that people write. */
import { ShapeError } from "../errors.ts";
import type { AxisPairs } from "../ir/primitives.ts";
import { formatType, sameShape, type TensorType } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { astype, broadcastShapes, broadcastTo, lift, promoteDTypes } from "./lift.ts";

export interface DotGeneralOptions {
  /** Axes summed over, in pairs. */
  readonly contracting: AxisPairs;
  /** Axes kept and aligned, in pairs; they come first in the result. */
  readonly batch?: AxisPairs;
}

/** Result axes: batch, then the left operand's free axes, then the right one's. */
export function dotGeneral(a: Operand, b: Operand, options: DotGeneralOptions): Tracer {
  const [x, y] = promoted("dotGeneral", a, b);
  return emit1("dot_general", [x, y], { contracting: options.contracting, batch: options.batch ?? [[], []] });
}

function promoted(op: string, a: Operand, b: Operand): readonly [Tracer, Tracer] {
  const [x, y] = [lift(op, a), lift(op, b)];
  const dtype = promoteDTypes(op, x.dtype, y.dtype);
  return [astype(x, dtype), astype(y, dtype)];
}

/**
 * Matrix product over the last axis of `a` and the last but one of `b`; leading axes broadcast.
 * [m,k] @ [k,n] -> [m,n]; [...,k] @ [k,n] -> [...,n]; [k] @ [k,n] -> [n]; [m,k] @ [k] -> [m]; [k] @ [k] -> [].
 */
export function matmul(a: Operand, b: Operand): Tracer {
  const [x, y] = promoted("matmul", a, b);
  if (x.rank === 0 || y.rank === 0) {
    throw new ShapeError(`matmul: needs at least one axis each, got ${formatType(x.type)} and ${formatType(y.type)}`);
  }
  const contracted = Math.max(0, y.rank - 2);
  if (x.dim(-1) !== y.dim(contracted)) {
    throw new ShapeError(
      `matmul: contracting sizes differ, ${formatType(x.type)} axis ${x.rank - 1} (${x.dim(-1)}) and ${formatType(y.type)} axis ${contracted} (${y.dim(contracted)})`,
    );
  }
  if (y.rank <= 2) return contract(x, x.rank - 1, y, contracted);
  return x.rank === 1 ? contract(y, contracted, x, 0) : batchedMatmul(x, y);
}

function contract(x: Tracer, xAxis: number, y: Tracer, yAxis: number): Tracer {
  return emit1("dot_general", [x, y], { contracting: [[xAxis], [yAxis]], batch: [[], []] });
}

/** The type of a stack of matrices, without the matrices. */
function leadingType({ dtype, shape }: Tracer): TensorType {
  return { dtype, shape: shape.slice(0, -2) };
}

function batchedMatmul(x: Tracer, y: Tracer): Tracer {
  const leading = broadcastShapes("matmul", leadingType(x), leadingType(y));
  const batch = leading.map((_, axis) => axis);
  const rank = leading.length;
  return emit1(
    "dot_general",
    [broadcastTo(x, [...leading, x.dim(-2), x.dim(-1)]), broadcastTo(y, [...leading, y.dim(-2), y.dim(-1)])],
    {
      contracting: [[rank + 1], [rank]],
      batch: [batch, batch],
    },
  );
}

/** Sum of products of two tensors of one shape. */
export function vdot(a: Operand, b: Operand): Tracer {
  const [x, y] = promoted("vdot", a, b);
  if (!sameShape(x.shape, y.shape)) {
    throw new ShapeError(
      `vdot: ${formatType(x.type)} and ${formatType(y.type)} differ in shape; reshape or broadcast one of them`,
    );
  }
  const axes = x.shape.map((_, axis) => axis);
  return emit1("dot_general", [x, y], { contracting: [axes, axes], batch: [[], []] });
}
