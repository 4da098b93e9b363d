/** Samples of gather and scatter_add. */
import { integers, values } from "../data.ts";
import { f32, i32, sample, type SampleTable } from "../sample.ts";

const out = values(0, -1, 2, 3, 1, -5, 2147483647, -2147483648);

export const indexing: Pick<SampleTable, "gather" | "scatter_add"> = {
  gather: [
    sample("odd", { axis: 0 }, [f32([5, 3]), i32([4], integers(0, 4))]),
    sample("odd", { axis: 1 }, [f32([3, 5]), i32([2, 2], integers(0, 4))], { name: "table of indices" }),
    sample("odd", { axis: 1 }, [f32([2, 3, 4]), i32([2], integers(0, 2))], { name: "middle" }),
    sample("scalar", { axis: 0 }, [f32([5]), i32([], integers(0, 4))]),
    sample("edge", { axis: 0 }, [f32([3, 2]), i32([6], values(1, 1, 0, 1, 2, 1))], { name: "repeated" }),
    sample("edge", { axis: 0 }, [f32([3, 2]), i32([8], out)], { name: "out of range" }),
    sample("one", { axis: 0 }, [f32([1]), i32([1], values(0))]),
    sample("empty", { axis: 0 }, [f32([5, 3]), i32([0])], { name: "no index" }),
    sample("empty", { axis: 0 }, [f32([0, 3]), i32([2], values(0, 1))], { name: "from nothing" }),
    sample("large", { axis: 0 }, [f32([65, 17]), i32([259], integers(0, 64))], { wrt: [] }),
    sample("integer", { axis: 0 }, [i32([3]), i32([8], out)]),
    sample("special", { axis: 0 }, [f32([3], values(NaN, -0, Infinity)), i32([4], values(0, 1, 2, 2))], { wrt: [] }),
  ],
  scatter_add: [
    sample("odd", { axis: 0 }, [f32([5, 3]), i32([4], integers(0, 4)), f32([4, 3])]),
    sample("odd", { axis: 1 }, [f32([3, 5]), i32([2, 2], integers(0, 4)), f32([3, 2, 2])], {
      name: "table of indices",
    }),
    sample("odd", { axis: 1 }, [f32([2, 3, 4]), i32([2], integers(0, 2)), f32([2, 2, 4])], { name: "middle" }),
    sample("scalar", { axis: 0 }, [f32([5]), i32([], integers(0, 4)), f32([])]),
    sample("edge", { axis: 0 }, [f32([3, 2]), i32([6], values(1, 1, 0, 1, 2, 1)), f32([6, 2])], { name: "repeated" }),
    sample("edge", { axis: 0 }, [f32([3, 2]), i32([8], out), f32([8, 2])], { name: "out of range" }),
    sample("one", { axis: 0 }, [f32([1]), i32([1], values(0)), f32([1])]),
    sample("empty", { axis: 0 }, [f32([5, 3]), i32([0]), f32([0, 3])], { name: "no index" }),
    sample("empty", { axis: 0 }, [f32([0, 3]), i32([2], values(0, 1)), f32([2, 3])], { name: "to nothing" }),
    sample("large", { axis: 0 }, [f32([65, 17]), i32([259], integers(0, 64)), f32([259, 17])], { wrt: [] }),
    sample("integer", { axis: 0 }, [i32([3]), i32([8], out), i32([8], values(2147483647, 1, -5))]),
  ],
};
