/** Samples of the reductions. */
import { distinct, normal, uniform, values } from "../data.ts";
import { f32, i32, sample, type SampleTable } from "../sample.ts";

const nonFinite = values(1, NaN, 2, Infinity, -Infinity, 3, -1, 0, -2, 5, -0, 7);

export const reduction: Pick<SampleTable, "reduce_sum" | "reduce_max" | "argmax"> = {
  reduce_sum: [
    sample("odd", { axes: [0] }, [f32([3, 5])]),
    sample("odd", { axes: [1] }, [f32([3, 5])], { name: "last" }),
    sample("odd", { axes: [0, 2] }, [f32([2, 3, 4])], { name: "outer" }),
    sample("odd", { axes: [0, 1, 2] }, [f32([2, 3, 4])], { name: "all" }),
    sample("odd", { axes: [] }, [f32([3])], { name: "none" }),
    sample("one", { axes: [0] }, [f32([1, 1])]),
    sample("scalar", { axes: [] }, [f32([])]),
    sample("empty", { axes: [1] }, [f32([3, 0])], { name: "to zeros" }),
    sample("empty", { axes: [1] }, [f32([0, 3])]),
    sample("large", { axes: [1] }, [f32([3, 1025], uniform(-1, 1))], { wrt: [] }),
    sample("large", { axes: [0] }, [f32([1025, 3], normal(100))], { wrt: [], name: "first" }),
    sample("integer", { axes: [1] }, [i32([3, 65], values(2147483647, 1, -5))]),
    sample("special", { axes: [1] }, [f32([4, 3], nonFinite)], { wrt: [] }),
  ],
  reduce_max: [
    sample("odd", { axes: [0] }, [f32([3, 5], distinct)]),
    sample("odd", { axes: [1] }, [f32([3, 5], distinct)], { name: "last" }),
    sample("odd", { axes: [0, 2] }, [f32([2, 3, 4], distinct)], { name: "outer" }),
    sample("one", { axes: [0] }, [f32([1, 1], distinct)]),
    sample("scalar", { axes: [] }, [f32([], distinct)]),
    sample("empty", { axes: [1] }, [f32([0, 3], distinct)]),
    sample("large", { axes: [1] }, [f32([3, 257], distinct)], { wrt: [] }),
    sample("edge", { axes: [1] }, [f32([2, 3], values(1, 1, 0, -1, 2, 2))], { name: "ties", regularity: "kink" }),
    sample("integer", { axes: [1] }, [i32([3, 65], values(-2147483648, 1, -5))]),
    sample("special", { axes: [1] }, [f32([4, 3], nonFinite)], { wrt: [] }),
    sample("special", { axes: [0] }, [f32([3], values(-Infinity, -Infinity, -Infinity))], { wrt: [], name: "low" }),
  ],
  argmax: [
    sample("odd", { axis: 0 }, [f32([3, 5], distinct)]),
    sample("odd", { axis: 1 }, [f32([3, 5], distinct)], { name: "last" }),
    sample("odd", { axis: 1 }, [f32([2, 3, 4], distinct)], { name: "middle" }),
    sample("one", { axis: 0 }, [f32([1], distinct)]),
    sample("empty", { axis: 1 }, [f32([0, 3], distinct)]),
    sample("large", { axis: 1 }, [f32([3, 257], distinct)]),
    sample("edge", { axis: 1 }, [f32([2, 4], values(1, 3, 3, 0, 2, 2, 2, 2))], { name: "ties" }),
    sample("integer", { axis: 1 }, [i32([3, 5])]),
    sample("special", { axis: 1 }, [f32([4, 3], nonFinite)], { wrt: [] }),
  ],
};
