/** The suite of the WASM backend: one thread and base SIMD, where a row does not say otherwise. */
import type { Ceilings } from "./ceilings.ts";
import { compileSamples } from "./compile.ts";
import type { Entry, Race } from "./race.ts";
import { bytesOf, flopsOf, type WorkOf } from "./work.ts";

export interface WasmSuiteOptions {
  /** The same rows at sizes that take no time. */
  readonly tiny: boolean;
  /** Whether the engine has relaxed SIMD. */
  readonly relaxed: boolean;
}

/** Groups of rows, by the name that --only takes. */
export function wasmSuite({ tiny, relaxed }: WasmSuiteOptions): Readonly<Record<string, readonly Entry[]>> {
  const [batch, time, channels] = tiny ? [2, 8, 16] : [32, 256, 256];
  const recurrence = { kind: "recurrence", batch, time, channels } as const;
  const scan = tiny ? { batch: 2, time: 8, channels: 8, state: 4 } : { batch: 32, time: 256, channels: 128, state: 16 };
  const mlp = tiny ? { batch: 8, sizes: [8, 16, 8, 4] } : { batch: 512, sizes: [256, 512, 256, 60] };
  const fpRnn = {
    kind: "fp-rnn",
    ...(tiny ? { batch: 2, time: 4, dModel: 4 } : { batch: 128, time: 16, dModel: 64 }),
  } as const;
  const steps = tiny ? 10 : 1000;
  const silu = { kind: "silu", size: tiny ? 4096 : 2 ** 20 } as const;
  const norm = { kind: "layer-norm", rows: tiny ? 8 : 8192, features: tiny ? 16 : 256 } as const;
  const middle = tiny ? 16 : 256;
  const large = { kind: "gemm", size: tiny ? 16 : 512, transposed: "none" } as const;
  const fpRnnStep = {
    name: `FP-RNN train step B${fpRnn.batch} T${fpRnn.time} d${fpRnn.dModel}`,
    unit: "ms",
    work: fpRnn,
  } as const;
  const a5 = a5Step(
    tiny
      ? { kind: "a5", batch: 2, length: 3, dModel: 8, before: { batch: 2, steps: 2 } }
      : { kind: "a5", batch: 512, length: 16, dModel: 64, before: { batch: 32, steps: 1000 } },
    // Its products for 16 positions; the step has 17, with the beginning of the word.
    { flops: tiny ? 1e5 : 2.74e9, size: middle },
  );
  return {
    gemm: [
      ...(tiny ? [8, 12] : [64, 128, 256, 512, 1024]).map((size) => gemm({ kind: "gemm", size, transposed: "none" })),
      gemm({ kind: "gemm", size: middle, transposed: "left" }),
      gemm({ kind: "gemm", size: middle, transposed: "right" }),
    ],
    "batched-gemm": (tiny ? [4, 8] : [16, 64]).map((size) =>
      gemm({ kind: "batched-gemm", batch: tiny ? 2 : 64, size }),
    ),
    elementwise: [
      {
        name: `silu(x)*y+z [${silu.size}]`,
        unit: "ms",
        work: silu,
        ceiling: {
          name: "max(memory.copy, exp and divide in L1)",
          of: ({ copy, silu: inCache }) => [copy(bytesOf(silu)), inCache(silu.size)],
        },
      },
    ],
    "layer-norm": [
      {
        name: `layer norm [${norm.rows},${norm.features}]`,
        unit: "ms",
        work: norm,
        ceiling: {
          name: "max(memory.copy, the same in L1)",
          of: ({ copy, layerNorm }) => [copy(bytesOf(norm)), layerNorm(norm.rows, norm.features)],
        },
      },
    ],
    recurrence: [
      {
        name: `recurrence [${batch},${time},${channels}]`,
        unit: "ms",
        work: recurrence,
        ceiling: { name: "memory.copy", of: ({ copy }) => [copy(bytesOf(recurrence))] },
      },
      {
        name: "recurrence forward + backward",
        unit: "ms",
        work: { ...recurrence, kind: "recurrence-gradient" },
        // Forward reads a, b and writes h; backward reads a, h and the cotangent and writes both gradients.
        ceiling: { name: "memory.copy", of: ({ copy }) => [copy((8 / 3) * bytesOf(recurrence))] },
      },
    ],
    "selective-scan": [
      {
        name: `selective scan [${Object.values(scan).join(",")}]`,
        unit: "ms",
        work: { kind: "selective-scan", ...scan },
        ceiling: { name: "a sum in the recurrence's place", of: () => [{ kind: "plain-sum", ...scan }] },
      },
    ],
    mlp: [
      {
        name: `MLP ${mlp.sizes.join("-")} train step`,
        unit: "ms",
        work: { kind: "mlp", ...mlp },
        ceiling: { name: "its GEMMs alone", of: () => [{ kind: "mlp-gemms", ...mlp }] },
      },
    ],
    "fp-rnn": [fpRnnStep],
    a5: [{ ...a5, iterations: true }],
    dispatch: [{ name: "dispatch of a tiny program", unit: "us", work: { kind: "tiny" } }],
    while: [{ name: `while of ${steps}, per iteration`, unit: "us", work: { kind: "while", steps }, steps }],
    compile: [
      { name: "compile FP-RNN train step, cold", unit: "ms", samples: (n) => compileSamples(fpRnn, n, "cold") },
      { name: "compile FP-RNN train step, second", unit: "ms", samples: (n) => compileSamples(fpRnn, n, "second") },
    ],
    ...(relaxed ? { relaxed: [inRelaxedSimd(gemm(large)), inRelaxedSimd(a5)] } : {}),
    threads: [gemm(large), fpRnnStep, a5].map(onTwoThreads),
  };
}

/** Its ceiling is the time that a product takes for as many operations. */
function a5Step(work: WorkOf<"a5">, { flops, size }: { readonly flops: number; readonly size: number }): Race {
  const product = { kind: "gemm", size, transposed: "none" } as const;
  return {
    name: `A5 train step B${work.batch} T${work.length}`,
    unit: "ms",
    work,
    ceiling: {
      name: `${flops / 1e9} GFLOP at the rate of GEMM ${size}`,
      of: () => [{ work: product, times: flops / flopsOf(product) }],
    },
  };
}

/** Only against itself: the peers are measured in base SIMD. */
function inRelaxedSimd(race: Race): Race {
  const { work } = race;
  const ceiling =
    work.kind === "gemm"
      ? {
          name: "fused mul+add in registers",
          of: ({ fusedMulAdd }: Ceilings) => [fusedMulAdd(flopsOf(work))],
        }
      : race.ceiling;
  return { ...race, name: `${race.name}, relaxed SIMD`, on: "relaxed SIMD", against: [], ...(ceiling && { ceiling }) };
}

/** Against one thread. How much of two cores the process had shows whether the ratio means anything. */
function onTwoThreads(race: Race): Race {
  return {
    ...race,
    name: `${race.name}, 2 threads`,
    on: "2 threads",
    against: ["1 thread"],
    ceiling: { name: "its CPU time / 2", threads: 2 },
  };
}

function gemm(work: WorkOf<"gemm" | "batched-gemm">): Race {
  const name = nameOf(work);
  if (work.kind === "gemm" && work.transposed !== "none") {
    const plain = { ...work, transposed: "none" } as const;
    return { name, unit: "GFLOP/s", work, ceiling: { name: "A B", of: () => [plain] } };
  }
  const ceiling = { name: "mul+add in registers", of: ({ mulAdd }: Ceilings) => [mulAdd(flopsOf(work))] };
  return { name, unit: "GFLOP/s", work, ceiling };
}

function nameOf(work: WorkOf<"gemm" | "batched-gemm">): string {
  if (work.kind === "batched-gemm") return `batched GEMM [${work.batch},${work.size},${work.size}]`;
  switch (work.transposed) {
    case "none":
      return `GEMM ${work.size}`;
    case "left":
      return `GEMM ${work.size} A^T B`;
    case "right":
      return `GEMM ${work.size} A B^T`;
  }
}
