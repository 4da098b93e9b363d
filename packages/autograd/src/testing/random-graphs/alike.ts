/** Brings a value to the shape of another. */
import { sameShape } from "../../ir/tensor-type.ts";
import { broadcastTo } from "../../ops/lift.ts";
import { sum } from "../../ops/reduction.ts";
import type { Tracer } from "../../trace/tracer.ts";

/** x where it has or broadcasts to the shape of `like`; otherwise its sum, everywhere. */
export function alike(x: Tracer, like: Tracer): Tracer {
  if (sameShape(x.shape, like.shape)) return x;
  const offset = like.rank - x.rank;
  const fits = offset >= 0 && x.shape.every((n, i) => n === 1 || n === like.shape[i + offset]);
  return broadcastTo(fits ? x : sum(x), like.shape);
}
