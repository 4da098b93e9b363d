/** Samples of linear_recurrence. */
import { type Domain, normal, uniform, values } from "../data.ts";
import { f32, type Sample, sample, type SampleClass, type SampleTable } from "../sample.ts";
import type { Shape } from "../../ir/tensor-type.ts";

const decay = uniform(0.2, 0.99);

function recur(
  kind: SampleClass,
  shape: Shape,
  options: {
    readonly axis?: number;
    readonly reverse?: boolean;
    readonly a?: Domain;
    readonly name?: string;
    readonly wrt?: readonly number[];
  } = {},
): Sample<"linear_recurrence"> {
  const { axis = 1, reverse = false, a = decay, name = reverse ? "reverse" : undefined, wrt } = options;
  return sample(kind, { axis, reverse }, [f32(shape, a), f32(shape)], {
    ...(name === undefined ? {} : { name }),
    ...(wrt === undefined ? {} : { wrt }),
  });
}

export const recurrence: Pick<SampleTable, "linear_recurrence"> = {
  linear_recurrence: [
    recur("odd", [2, 5, 3]),
    recur("reverse", [2, 5, 3], { reverse: true, name: "middle axis" }),
    recur("odd", [7], { axis: 0, name: "vector" }),
    recur("reverse", [7], { axis: 0, reverse: true, name: "vector" }),
    recur("odd", [3, 5], { axis: 1, name: "last axis" }),
    recur("reverse", [3, 5], { axis: 0, reverse: true, name: "first axis" }),
    recur("T=0", [2, 0, 3]),
    recur("T=0", [2, 0, 3], { reverse: true }),
    recur("T=1", [2, 1, 3]),
    recur("T=1", [2, 1, 3], { reverse: true }),
    recur("B=1", [1, 3, 1]),
    recur("one", [1, 1, 1]),
    recur("empty", [0, 5, 3]),
    recur("edge", [1, 5, 3], { a: values(0), name: "a = 0" }),
    recur("edge", [1, 5, 3], { a: values(1), name: "a = 1" }),
    recur("edge", [1, 5, 3], { a: values(-1), name: "a = -1" }),
    recur("edge", [1, 8, 2], { a: values(0, 1, -1, 1, 1, 0, 2), name: "a in {0, 1, -1, 2}" }),
    recur("edge", [1, 8, 2], { a: values(0, 1, -1, 1, 1, 0, 2), name: "a in {0, 1, -1, 2}, reverse", reverse: true }),
    recur("edge", [1, 5, 3], { a: values(2 ** -140, 0.5), name: "denormal a" }),
    recur("large", [3, 257, 5], { wrt: [] }),
    recur("large", [3, 257, 5], { reverse: true, wrt: [], a: normal(0.7) }),
    recur("special", [1, 6, 3], { a: values(1, NaN, Infinity, 1, 0, 0.5, 1, 1, 1, 0), wrt: [] }),
  ],
};
