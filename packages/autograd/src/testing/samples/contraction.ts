/** Samples of dot_general. */
import { normal, values } from "../data.ts";
import { f32, i32, sample, type SampleTable } from "../sample.ts";

export const contraction: Pick<SampleTable, "dot_general"> = {
  dot_general: [
    sample("odd", { contracting: [[1], [0]], batch: [[], []] }, [f32([3, 5]), f32([5, 2])], { name: "matmul" }),
    sample("odd", { contracting: [[1], [0]], batch: [[], []] }, [f32([3, 3]), f32([3, 3])], { name: "square" }),
    sample("odd", { contracting: [[1], [1]], batch: [[], []] }, [f32([3, 5]), f32([7, 5])], { name: "transposed" }),
    sample("odd", { contracting: [[0], [0]], batch: [[], []] }, [f32([5, 3]), f32([5, 2])], { name: "columns" }),
    sample("odd", { contracting: [[2], [1]], batch: [[0], [0]] }, [f32([2, 3, 5]), f32([2, 5, 4])], { name: "batch" }),
    sample("odd", { contracting: [[0], [2]], batch: [[2], [1]] }, [f32([5, 3, 2]), f32([4, 2, 5])], {
      name: "strided batch",
    }),
    sample(
      "odd",
      {
        contracting: [
          [0, 2],
          [2, 0],
        ],
        batch: [[], []],
      },
      [f32([2, 3, 4]), f32([4, 5, 2])],
      {
        name: "two axes crossed",
      },
    ),
    sample("odd", { contracting: [[], []], batch: [[], []] }, [f32([3]), f32([5])], { name: "outer product" }),
    sample("odd", { contracting: [[], []], batch: [[0], [0]] }, [f32([5]), f32([5])], { name: "batch only" }),
    sample("scalar", { contracting: [[0], [0]], batch: [[], []] }, [f32([7]), f32([7])], { name: "vdot" }),
    sample("scalar", { contracting: [[], []], batch: [[], []] }, [f32([]), f32([])]),
    sample("one", { contracting: [[1], [0]], batch: [[], []] }, [f32([1, 1]), f32([1, 1])]),
    sample("B=1", { contracting: [[2], [1]], batch: [[0], [0]] }, [f32([1, 3, 5]), f32([1, 5, 4])]),
    sample("empty", { contracting: [[1], [0]], batch: [[], []] }, [f32([3, 0]), f32([0, 2])], { name: "to zeros" }),
    sample("empty", { contracting: [[1], [0]], batch: [[], []] }, [f32([0, 5]), f32([5, 2])]),
    sample("large", { contracting: [[1], [0]], batch: [[], []] }, [f32([17, 259]), f32([259, 33])], { wrt: [] }),
    sample("large", { contracting: [[1], [1]], batch: [[], []] }, [f32([65, 64], normal(10)), f32([67, 64])], {
      wrt: [],
      name: "transposed",
    }),
    sample("integer", { contracting: [[1], [0]], batch: [[], []] }, [
      i32([3, 5], values(2147483647, -3, 65537, 9, -2147483648, 1, 4)),
      i32([5, 2], values(2147483647, 5, -7)),
    ]),
    sample(
      "special",
      { contracting: [[1], [0]], batch: [[], []] },
      [f32([3, 2], values(NaN, 1, Infinity, 1, 0, 1)), f32([2, 2], values(1, 0, 2, 3))],
      { wrt: [] },
    ),
  ],
};
