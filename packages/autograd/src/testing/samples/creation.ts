/** Samples of iota and random_bits. */
import { values } from "../data.ts";
import { sample, type SampleTable, u32 } from "../sample.ts";

export const creation: Pick<SampleTable, "iota" | "random_bits"> = {
  iota: [
    sample("odd", { type: { dtype: "int32", shape: [3, 5] }, axis: 0 }, [], { name: "rows" }),
    sample("odd", { type: { dtype: "int32", shape: [3, 5] }, axis: 1 }, [], { name: "columns" }),
    sample("odd", { type: { dtype: "float32", shape: [2, 3, 4] }, axis: 1 }, [], { name: "float" }),
    sample("one", { type: { dtype: "uint32", shape: [1] }, axis: 0 }, []),
    sample("empty", { type: { dtype: "int32", shape: [0, 3] }, axis: 1 }, []),
    sample("large", { type: { dtype: "int32", shape: [1025] }, axis: 0 }, []),
  ],
  random_bits: [
    sample("odd", { shape: [3, 5] }, [u32([2], values(0, 42))]),
    sample("scalar", { shape: [] }, [u32([2], values(0xdeadbeef, 0xffffffff))]),
    sample("empty", { shape: [0, 3] }, [u32([2], values(1, 2))]),
    sample("large", { shape: [1025] }, [u32([2], values(0x13198a2e, 0x03707344))]),
  ],
};
