/**
 * Scatters: additions to elements that several points may meet in, without atomics. An invocation has an element of the
 * target and runs through the points that might be added to it, in their order, so that the bits are the same each time.
 */
import { type ScatterKernel, sizeOf } from "@banach/autograd/backend";
import { scalarType } from "../wgsl/operations.ts";
import { addressText, PointWriter, splitIndex } from "./point-writer.ts";
import { eachPoint } from "./scope.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** Returns the workgroups needed. */
export function writeScatter(w: ShaderWriter, kernel: ScatterKernel): number {
  const { shape, access, stride, limit, index, value, buffer } = kernel;
  // Along axes on which the target does not move, all points may meet in one element.
  const meeting = shape.flatMap((_, axis) => ((access.strides[axis] ?? 0) === 0 ? [axis] : []));
  const apart = shape.flatMap((_, axis) => ((access.strides[axis] ?? 0) === 0 ? [] : [axis]));
  const sizesOf = (axes: readonly number[]): readonly number[] => axes.map((axis) => shape[axis] ?? 1);
  const window = sizesOf(apart);
  return eachPoint(w, "grid", limit * sizeOf(window), (element) => {
    const [row = "0u", ...place] = splitIndex(w, element, [limit, ...window]);
    const axes = new Array<string>(shape.length).fill("0u");
    apart.forEach((axis, i) => (axes[axis] = place[i] ?? "0u"));
    const at = w.let(`${addressText(w, access, axes)} + ${row} * ${stride}u`, "at");
    const sum = w.fresh("sum");
    w.line(`var ${sum}: ${scalarType(buffer.dtype)} = ${w.load(buffer, at)};`);
    const k = w.fresh("k");
    w.block(`for (var ${k} = 0u; ${k} < ${sizeOf(sizesOf(meeting))}u; ${k}++)`, () => {
      splitIndex(w, k, sizesOf(meeting)).forEach((name, i) => (axes[meeting[i] ?? 0] = name));
      const point = new PointWriter(w, [...axes]);
      w.block(`if (u32(${point.value(index)}) == ${row})`, () => {
        w.line(`${sum} += ${new PointWriter(w, [...axes]).value(value)};`);
      });
    });
    w.store(buffer, at, sum);
  });
}
