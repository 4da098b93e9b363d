/** Linear recurrences h = a h + b. */
import { accessesOf, groupAxes, mapAll, type RecurKernel, regroup, sizeOf } from "@banach/autograd/backend";
import { literal, scalarType } from "../wgsl/operations.ts";
import { PointWriter, splitIndex } from "./point-writer.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** One invocation per row runs through time: neighbours are on neighbouring channels. Returns the workgroups needed. */
export function writeRecur(w: ShaderWriter, kernel: RecurKernel, scope: Scope): number {
  const { shape, axis: time, a, b, reverse } = kernel;
  const length = shape[time] ?? 0;
  const axes = shape.map((_, axis) => axis);
  const accesses = accessesOf([a, b], kernel.stores);
  const outer = groupAxes(shape, axes.slice(0, time), accesses);
  const inner = groupAxes(shape, axes.slice(time + 1), accesses);
  const { sizes, access } = regroup(shape, [...outer, [time], ...inner]);
  const { expressions, stores } = mapAll([a, b], kernel.stores, access);
  const [first = a, second = b] = expressions;
  const rows = sizes.filter((_, axis) => axis !== outer.length);
  return eachPoint(w, scope, sizeOf(rows), (index) => {
    const others = splitIndex(w, index, rows);
    const h = w.fresh("h");
    const step = w.fresh("t");
    w.line(`var ${h}: ${scalarType(a.dtype)} = ${literal(a.dtype, 0)};`);
    w.block(`for (var ${step} = 0u; ${step} < ${length}u; ${step}++)`, () => {
      const t = reverse ? w.let(`${length - 1}u - ${step}`, "t") : step;
      const point = [...others.slice(0, outer.length), t, ...others.slice(outer.length)];
      const terms = new PointWriter(w, point);
      w.line(`${h} = ${terms.value(first)} * ${h} + ${terms.value(second)};`);
      new PointWriter(w, point, h).storeAll(stores);
    });
  });
}
