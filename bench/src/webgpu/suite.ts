/** The suite of the WebGPU backend. Runs in pages as well. */
import type { Race } from "../race.ts";
import { bytesOf, flopsOf, type WorkOf } from "../work.ts";

export type Scale = "tiny" | "software" | "gpu";

/** Products by the side of their matrices: a driver in software takes a minute for a sample of the largest. */
const GEMM_SIZES: Readonly<Record<Scale, readonly number[]>> = {
  tiny: [8, 12],
  software: [256, 512, 1024],
  gpu: [256, 512, 1024, 2048, 4096],
};

/** Groups of rows, by the name that --only takes. They race against the peers, those of `fused` against loops that are not. */
export function webgpuSuite(scale: Scale): Readonly<Record<string, readonly Race[]>> {
  const tiny = scale === "tiny";
  const [batch, time, channels] = tiny ? [2, 8, 16] : [32, 256, 256];
  const recurrence = { kind: "recurrence", batch, time, channels } as const;
  const silu = { kind: "silu", size: tiny ? 4096 : 2 ** 20 } as const;
  const norm = { kind: "layer-norm", rows: tiny ? 8 : 8192, features: tiny ? 16 : 256 } as const;
  const parameters: WorkOf<"fp-mamba">["parameters"] = tiny
    ? { length: 3, dModel: 8, before: { batch: 2, steps: 2 } }
    : { length: 16, dModel: 64, before: { batch: 32, steps: 1000 } };
  const words = { tiny: 2, software: 32, gpu: 512 }[scale];
  const sequences = { kind: "fp-mamba", solver: "sequential", batch: words, time: parameters.length + 1 } as const;
  const forward = { ...sequences, use: "forward", parameters } as const;
  const size = `B${words} T${sequences.time}`;
  const fpRnn = { kind: "fp-rnn", batch: tiny ? 2 : 128, time: tiny ? 4 : 16, dModel: tiny ? 4 : 64 } as const;
  // Without a GPU a run of thousands of kernels takes seconds.
  const fused = { on: "fused", against: ["composed"], fewest: 1 } as const;
  return {
    gemm: GEMM_SIZES[scale].map((size) => {
      const work = { kind: "gemm", size, transposed: "none" } as const;
      const of: NonNullable<Race["ceiling"]> = {
        name: "fma in registers",
        of: ({ mulAdd }) => [mulAdd(flopsOf(work))],
      };
      return { name: `GEMM ${size}`, unit: "GFLOP/s", work, ceiling: of };
    }),
    elementwise: [
      {
        name: `silu(x)*y+z [${silu.size}]`,
        unit: "ms",
        work: silu,
        ceiling: { name: "copy", of: ({ copy }) => [copy(bytesOf(silu))] },
      },
    ],
    "layer-norm": [
      {
        name: `layer norm [${norm.rows},${norm.features}]`,
        unit: "ms",
        work: norm,
        ceiling: { name: "copy", of: ({ copy }) => [copy(bytesOf(norm))] },
      },
    ],
    recurrence: [
      {
        name: `recurrence [${batch},${time},${channels}]`,
        unit: "ms",
        work: recurrence,
        ceiling: { name: "copy", of: ({ copy }) => [copy(bytesOf(recurrence))] },
      },
      {
        name: "recurrence forward + backward",
        unit: "ms",
        work: { ...recurrence, kind: "recurrence-gradient" },
        // In software it takes the peers many seconds.
        fewest: 1,
        // Forward reads a, b and writes h; backward reads a, h and the cotangent and writes both gradients.
        ceiling: { name: "copy", of: ({ copy }) => [copy((8 / 3) * bytesOf(recurrence))] },
      },
    ],
    "fp-mamba": [{ name: `FP-Mamba forward ${size}`, unit: "ms", work: forward, iterations: true, fewest: 1 }],
    fused: [
      { name: "FP-Mamba forward, loops fused", unit: "ms", work: forward, ...fused },
      { name: "FP-Mamba forward, tol 0.0003", unit: "ms", work: { ...forward, tol: 3e-4 }, ...fused, iterations: true },
      { name: `FP-Mamba train step ${size}`, unit: "ms", work: { ...forward, use: "train" }, ...fused },
      { name: `FP-RNN train step B${fpRnn.batch} T${fpRnn.time} d${fpRnn.dModel}`, unit: "ms", work: fpRnn, ...fused },
    ],
    dispatch: [
      { name: "dispatch of a tiny program", unit: "us", work: { kind: "tiny" } },
      // As many dispatches as of the full size, with so little to do that there are many runs.
      {
        name: "FP-RNN train step, encoding",
        unit: "ms",
        work: { kind: "fp-rnn", batch: 2, time: 4, dModel: 4 },
        against: [],
      },
    ],
  };
}

/** What a scale leaves out of the largest, for people. */
export function leftOut(scale: Scale): string | null {
  const [sizes, all] = [GEMM_SIZES[scale], GEMM_SIZES.gpu];
  const missing = all.filter((size) => !sizes.includes(size));
  if (scale !== "software") return null;
  return `left out: GEMM ${missing.join(" and ")}, which take minutes without a GPU; FP-Mamba has 32 words, with a GPU 512`;
}
