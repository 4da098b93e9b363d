/** What is measured of a batch, traced: loss, accuracies and the work of the solvers. */
import {
  add,
  all,
  and,
  argmax,
  astype,
  div,
  equal,
  full,
  greaterEqual,
  maximum,
  mean,
  nn,
  not,
  notEqual,
  or,
  stack,
  sum,
  type Tracer,
} from "@banach/autograd";
import { type SolveStats, STATUSES } from "@banach/fprnn";
import type { ModelOutput } from "./model.ts";

/** A batch inside a trace; see Batch. */
export interface TracedBatch {
  readonly inputs: Tracer;
  readonly targets: Tracer;
  readonly mask: Tracer;
}

/** Scalars of a batch. The order of NAMES is that of the vector in which they leave the device. */
const NAMES = [
  "loss",
  "tokenAccuracy",
  "sequenceAccuracy",
  "iterations",
  "maxIterations",
  "notConverged",
  "diverged",
] as const;

/** Number by name, after reading. */
export type Measures = Readonly<Record<(typeof NAMES)[number], number>>;

/**
 * Loss: cross entropy in nats, the mean over the positions that count. tokenAccuracy: the share of these whose largest
 * logit is the target's. sequenceAccuracy: the share of sequences that are right at all of them. iterations: solver
 * iterations per sequence, the mean over sequences and the layers that have a solver, 0 without any; maxIterations the
 * largest. notConverged: the number of sequences with a layer whose solver did not meet its tolerance; diverged: of these,
 * those with a layer where it ran away or came out not finite, so that what the model made of them means nothing.
 */
export function measure(output: ModelOutput, batch: TracedBatch): Measured {
  const { logits } = output;
  const stats = output.stats.filter((layer) => layer !== null);
  const { targets, mask } = batch;
  const loss = nn.softmaxCrossEntropy(logits, targets, { mask });
  const right = equal(argmax(logits, -1), targets);
  const counted = maximum(astype(sum(mask), "float32"), 1);
  const values: Readonly<Record<(typeof NAMES)[number], Tracer>> = {
    loss,
    tokenAccuracy: div(astype(sum(and(right, mask)), "float32"), counted),
    sequenceAccuracy: mean(all(or(right, not(mask)), { axes: 1 })),
    iterations: iterationsOf(stats),
    maxIterations: stats.reduce((most, { iterations }) => maximum(most, iterations.max()), full([], 0, "int32")),
    notConverged: countOf(stats, (status) => notEqual(status, STATUSES.indexOf("converged"))),
    diverged: countOf(stats, (status) => greaterEqual(status, STATUSES.indexOf("diverged"))),
  };
  return { loss, diverged: values.diverged, vector: stack(NAMES.map((name) => astype(values[name], "float32"))) };
}

/** bool[batch]: whether the last position's largest logit is the target's. */
export function lastRight({ logits }: ModelOutput, { targets }: TracedBatch): Tracer {
  return equal(argmax(logits.index(1, -1), -1), targets.index(1, -1));
}

export interface Measured {
  readonly loss: Tracer;
  /** int32[]. */
  readonly diverged: Tracer;
  /** All measures, float32. */
  readonly vector: Tracer;
}

/** The measures in a vector that `measure` made; `extra` are the numbers after them. */
export function readMeasures(vector: ArrayLike<number>): { readonly measures: Measures; readonly extra: number[] } {
  const numbers = Array.from(vector);
  const measures = Object.fromEntries(NAMES.map((name, i) => [name, numbers[i] ?? Number.NaN])) as Measures;
  return { measures, extra: numbers.slice(NAMES.length) };
}

function iterationsOf(stats: readonly SolveStats[]): Tracer {
  const total = stats.reduce(
    (sofar, { iterations }) => add(sofar, mean(astype(iterations, "float32"))),
    full([], 0, "float32"),
  );
  return div(total, Math.max(1, stats.length));
}

/** The number of sequences with a layer whose status is meant. Statuses are in order of gravity. */
export function countOf(stats: readonly Pick<SolveStats, "status">[], isMeant: (status: Tracer) => Tracer): Tracer {
  const [first, ...rest] = stats.map(({ status }) => isMeant(status));
  if (first === undefined) return full([], 0, "int32");
  return sum(rest.reduce((some, layer) => or(some, layer), first));
}
