/** Evaluation: accuracy by length on data of its own, under one or several ways of solving the same model. */
import { setImmediate } from "node:timers/promises";
import { ArgumentError, type Device, type HostTensor, jit, random, type Tracer } from "@banach/autograd";
import type { Task } from "../tasks/task.ts";
import { measure, type Measures, readMeasures, type TracedBatch } from "./measures.ts";
import type { Params, SequenceModel } from "./model.ts";
import { streamKey } from "./state.ts";

/** A way of solving: the model with another tolerance or solver, on the same parameters. */
export interface Variant {
  /** E.g. `tol 0.01`. */
  readonly label: string;
  /** E.g. `picard`. */
  readonly solver?: string;
  readonly model: SequenceModel;
}

/** The same model at several tolerances. */
export function tolerances(
  values: readonly number[],
  modelAt: (tolerance: number) => SequenceModel,
): readonly Variant[] {
  return values.map((tolerance) => ({ label: `tol ${tolerance}`, model: modelAt(tolerance) }));
}

/** E.g. `picard tol 0.01`. */
function nameOf({ solver, label }: Variant): string {
  return solver === undefined ? label : `${solver} ${label}`;
}

export interface EvaluateOptions {
  readonly task: Task;
  /** Solved in each of these ways on the same data: a model may have learnt its solver instead of a fixed point. */
  readonly variants: readonly Variant[];
  readonly params: Params;
  readonly device: Device;
  readonly lengths: readonly number[];
  /** Sequences per batch. */
  readonly batch: number;
  /** Batches per length. */
  readonly batches: number;
  /** The root key of the run; evaluation has a stream of its own. */
  readonly key: HostTensor;
  /** Aborting ends evaluation after the batch at hand; rows that are not complete are left out. */
  readonly signal?: AbortSignal;
  /** Called after each batch. */
  readonly onBatch?: (progress: { readonly done: number; readonly total: number; readonly length: number }) => void;
}

export interface EvaluationRow {
  /** The solver, if there is one, and the label, e.g. `picard tol 0.01`. */
  readonly variant: string;
  readonly solver: string | null;
  readonly label: string;
  readonly length: number;
  readonly sequences: number;
  readonly tokenAccuracy: number;
  readonly sequenceAccuracy: number;
  /** Per sequence; the mean. */
  readonly iterations: number;
  /** Share of the sequences whose solvers met their tolerance. */
  readonly converged: number;
}

/** One row per length and variant, by length. Throws ArgumentError unless batch, batches and lengths are positive integers. */
export async function evaluate(options: EvaluateOptions): Promise<readonly EvaluationRow[]> {
  const { task, variants, device, lengths, batch, batches, signal } = options;
  for (const value of [batch, batches, ...lengths]) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentError(`evaluate: batch, batches and lengths must be positive integers, got ${value}`);
    }
  }
  const params = device.put(options.params);
  const programs = variants.map((variant) => ({
    variant,
    run: jit(evaluationStep(variant.model), { device, label: `evaluation, ${nameOf(variant)}` }),
  }));
  const root = streamKey(options.key, "evaluation");
  const total = lengths.length * variants.length * batches;
  const rows: EvaluationRow[] = [];
  let done = 0;
  try {
    for (const length of lengths) {
      const lengthKey = random.foldIn(root, length);
      for (const { variant, run } of programs) {
        const measured: Measures[] = [];
        for (let i = 0; i < batches; i++) {
          if (signal?.aborted === true) return rows;
          const vector = await run(params, task.sample(random.foldIn(lengthKey, i), { batch, length }));
          measured.push(readMeasures((await vector.read()).data).measures);
          vector.dispose();
          options.onBatch?.({ done: ++done, total, length });
          // Lets signals in, as in training.
          await setImmediate();
        }
        rows.push(summarise(variant, length, batch, measured));
      }
    }
    return rows;
  } finally {
    device.dispose(params);
  }
}

function evaluationStep(model: SequenceModel): (params: Params, batch: TracedBatch) => Tracer {
  return (params, batch) => measure(model.apply(params, batch.inputs), batch).vector;
}

function summarise(variant: Variant, length: number, batch: number, measured: readonly Measures[]): EvaluationRow {
  const mean = (name: keyof Measures): number => measured.reduce((sum, m) => sum + m[name], 0) / measured.length;
  return {
    variant: nameOf(variant),
    solver: variant.solver ?? null,
    label: variant.label,
    length,
    sequences: batch * measured.length,
    tokenAccuracy: mean("tokenAccuracy"),
    sequenceAccuracy: mean("sequenceAccuracy"),
    iterations: mean("iterations"),
    converged: 1 - mean("notConverged") / batch,
  };
}
