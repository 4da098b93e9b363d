/** The trainer: steps until a reason to stop, one compiled program per length, and nothing kept on the device after. */
import { setImmediate } from "node:timers/promises";
import {
  array,
  ArgumentError,
  type Device,
  type DeviceArray,
  type HostTensor,
  jit,
  type optim,
  random,
} from "@banach/autograd";
import type { RandomDepth } from "@banach/fprnn";
import type { Batch, BatchSize, Task, TaskPosition } from "../tasks/task.ts";
import {
  type Carried,
  type Carrying,
  type CarryOptions,
  nothingCarried,
  requireCarrying,
  restartsAfter,
  tokensCarried,
} from "./carry.ts";
import type { LengthSchedule } from "./lengths.ts";
import type { Params, SequenceModel } from "./model.ts";
import { initialState, streamKey, type TrainCounters, type TrainState } from "./state.ts";
import { readReport, type StepReport, trainStep } from "./step.ts";

/** Training ends early when the last batches of full length were all this accurate. Skipped ones do not count. */
export interface Target {
  /** Token accuracy, in (0, 1]. */
  readonly accuracy: number;
  /** How many batches in a row; default 3. Each is new data, seen before the update that it causes. */
  readonly batches?: number;
}

export interface TrainOptions {
  readonly task: Task;
  readonly model: SequenceModel;
  readonly optimizer: optim.Optimizer;
  readonly device: Device;
  /** Sequences per step. */
  readonly batch: number;
  /** Steps in all, those of the state included. */
  readonly steps: number;
  readonly lengths: LengthSchedule;
  /** Largest global norm of the gradient; null leaves it as it is. */
  readonly clip: number | null;
  /** Whether sequences go on from batch to batch; null or absent: each batch begins anew. */
  readonly carry?: CarryOptions | null;
  /**
   * Draws for each batch how many iterations solvers make at most, besides their own limit; null or absent: that alone
   * counts. With numbers that vary, a model does not learn its solver in place of a fixed point.
   */
  readonly depth?: Pick<RandomDepth, "draw"> | null;
  /** Not used when a state is given, which has its key. */
  readonly seed: number;
  /** Where to go on; default a new state. */
  readonly state?: TrainState;
  readonly target?: Target | null;
  /** Seconds; null or absent is no limit. */
  readonly timeLimit?: number | null;
  /** After so many skipped updates in a row nothing can be hoped for; default 50. */
  readonly maxSkippedInRow?: number;
  /** Aborting ends training after the step at hand. */
  readonly signal?: AbortSignal;
  /** Called after each step, and awaited. */
  readonly onStep?: (event: StepEvent) => void | Promise<void>;
}

export interface StepEvent extends StepReport {
  readonly counters: TrainCounters;
  /** Length of this batch. */
  readonly length: number;
  /** Drawn for this batch; null where nothing is. */
  readonly depth: number | null;
  /** Since training started or went on. */
  readonly seconds: number;
  /** Copies the state to the host, for a checkpoint. */
  readonly snapshot: () => Promise<TrainState>;
}

/**
 * The last three: `maxSkippedInRow` updates in a row were skipped, some because sequences diverged; or none, but some
 * because their gradient is that of a backward solve that failed; or none of either.
 */
export type StopReason = "steps" | "target" | "time" | "interrupted" | "diverged" | "adjointFailed" | "nonFinite";

export interface TrainResult {
  readonly reason: StopReason;
  readonly state: TrainState;
  readonly seconds: number;
}

/**
 * Trains. The numbers are a function of the options, not of when it is stopped and taken up again from `state`. Updates
 * of batches with a sequence that diverged, or whose loss or gradient is not finite, are skipped and counted; sequences
 * whose solver, or whose adjoint's, does not converge are counted.
 * Throws ArgumentError for options outside their domains.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  requireOptions(options);
  const { device } = options;
  const start = options.state ?? initialState(options);
  const step = jit(trainStep(options), { device, donate: [0, 1], label: "train step" });
  const keys = {
    training: streamKey(start.key, "training"),
    lengths: streamKey(start.key, "lengths"),
    depth: streamKey(start.key, "depth"),
  };
  const carrying = carryingOf(options, start);
  let position: TaskPosition | null = carrying?.start ?? null;
  const resident: Resident = {
    params: device.put(start.params),
    optimizer: device.put(start.optimizer),
    states: device.put(carrying?.start.model),
  };
  let { counters } = start;
  const startedAt = performance.now();
  const elapsed = (): number => (performance.now() - startedAt) / 1000;
  const snapshot = async (): Promise<TrainState> => {
    const { states: model, ...rest } = await device.get(resident);
    const carried = position === null ? {} : { carried: { model, ...position } };
    return { ...rest, ...carried, key: start.key, counters };
  };
  const draw = (size: BatchSize): { readonly batch: Batch; readonly memory: HostTensor | null } => {
    const key = random.foldIn(keys.training, counters.step);
    if (carrying === null || position === null) return { batch: options.task.sample(key, size), memory: null };
    const { memory, ...batch } = carrying.resume(key, size, position);
    return { batch, memory };
  };
  try {
    let reason = reasonToStop(counters, options, elapsed());
    while (reason === null) {
      const length = options.lengths.next(counters.lengths, random.foldIn(keys.lengths, counters.step));
      const { batch, memory } = draw({ batch: options.batch, length });
      const carried = position === null ? undefined : { model: resident.states, restart: position.restart };
      const depth = options.depth?.draw(random.foldIn(keys.depth, counters.step)) ?? null;
      const limit = depth === null ? undefined : array(Int32Array.of(depth), { shape: [] });
      const result = await step(resident.params, resident.optimizer, batch, carried, limit);
      device.dispose(resident.states);
      Object.assign(resident, { params: result.params, optimizer: result.optimizer, states: result.carried });
      const report = readReport(await readOnce(result.report));
      counters = count(counters, report, { length, time: batch.inputs.shape[1] ?? length }, options);
      if (memory !== null) position = { memory, restart: restartsAfter(counters.carriedTokens, report.right) };
      await options.onStep?.({ ...report, counters, length, depth, seconds: elapsed(), snapshot });
      // A backend may compute without ever leaving this thread; without a turn of the loop no signal would be seen.
      await setImmediate();
      reason = reasonToStop(counters, options, elapsed());
    }
    return { reason, state: await snapshot(), seconds: elapsed() };
  } finally {
    device.dispose(resident);
  }
}

interface Resident {
  params: Params;
  optimizer: unknown;
  /** Of the model, where sequences go on. */
  states: unknown;
}

/** How sequences go on, if they do, and what is carried at first. */
function carryingOf(
  { carry = null, task, model, batch }: TrainOptions,
  { carried }: TrainState,
): (Carrying & { readonly start: Carried }) | null {
  if (carry === null) return null;
  const carrying = requireCarrying(carry, task, model);
  return { ...carrying, start: carried ?? nothingCarried(carrying, batch) };
}

async function readOnce(array: DeviceArray): Promise<ArrayLike<number>> {
  try {
    return (await array.read()).data;
  } finally {
    array.dispose();
  }
}

/** The counters after a batch of sequences of a length, as the task counts it, on a time axis of `time`. */
function count(
  before: TrainCounters,
  report: StepReport,
  { length, time }: { readonly length: number; readonly time: number },
  options: TrainOptions,
): TrainCounters {
  const { skipped, tokenAccuracy: accuracy } = report;
  // What a model says of a batch that it could not solve is no accuracy.
  const isSeen = !skipped;
  const { carry = null, lengths: schedule } = options;
  const lengths = isSeen ? schedule.observe(before.lengths, accuracy) : before.lengths;
  const isFull = isSeen && length === schedule.full;
  const tokens = before.carriedTokens + time;
  return {
    step: before.step + 1,
    skipped: before.skipped + Number(skipped),
    skippedInRow: skipped ? before.skippedInRow + 1 : 0,
    divergedInRow: skipped ? before.divergedInRow + Number(report.diverged > 0) : 0,
    adjointFailedInRow: skipped ? before.adjointFailedInRow + Number(isForAdjoint(report)) : 0,
    adjointFailed: before.adjointFailed + report.adjointFailed,
    notConverged: before.notConverged + report.notConverged,
    diverged: before.diverged + report.diverged,
    carriedTokens: carry === null ? 0 : tokensCarried(carry, schedule, { tokens, applied: !skipped, lengths }),
    lengths,
    fullLength: isFull ? [...before.fullLength, accuracy].slice(-windowOf(options)) : before.fullLength,
  };
}

/** Whether an update was skipped because a backward solve failed: what was differentiated is finite, its gradient is not. */
function isForAdjoint({ skipped, diverged, loss, gradientNorm, adjointFailed }: StepReport): boolean {
  return skipped && diverged === 0 && adjointFailed > 0 && Number.isFinite(loss) && !Number.isFinite(gradientNorm);
}

function windowOf({ target }: TrainOptions): number {
  return target?.batches ?? 3;
}

function reasonToStop(counters: TrainCounters, options: TrainOptions, seconds: number): StopReason | null {
  const { target, timeLimit, signal, steps, maxSkippedInRow = 50 } = options;
  // More than the window if a run goes on with a smaller one.
  const recent = counters.fullLength.slice(-windowOf(options));
  if (counters.skippedInRow >= maxSkippedInRow) {
    if (counters.divergedInRow > 0) return "diverged";
    return counters.adjointFailedInRow > 0 ? "adjointFailed" : "nonFinite";
  }
  const reached = (accuracy: number): boolean =>
    recent.length >= windowOf(options) && recent.every((value) => value >= accuracy);
  if (target !== null && target !== undefined && reached(target.accuracy)) return "target";
  if (counters.step >= steps) return "steps";
  if (signal?.aborted === true) return "interrupted";
  if (timeLimit !== null && timeLimit !== undefined && seconds >= timeLimit) return "time";
  return null;
}

function requireOptions({ batch, steps, target, timeLimit, depth, model }: TrainOptions): void {
  if (depth !== null && depth !== undefined && model.atDepth === undefined) {
    throw new ArgumentError("train: the model has no solver whose depth could be random; leave depth out");
  }
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new ArgumentError(`train: batch must be a positive integer, got ${batch}`);
  }
  if (!Number.isSafeInteger(steps) || steps < 0) {
    throw new ArgumentError(`train: steps must be a non-negative integer, got ${steps}`);
  }
  if (target !== null && target !== undefined) {
    const { accuracy, batches = 1 } = target;
    if (!(accuracy > 0 && accuracy <= 1) || !Number.isSafeInteger(batches) || batches < 1) {
      throw new ArgumentError(
        `train: target is an accuracy in (0, 1] over a positive number of batches, got ${accuracy} and ${batches}`,
      );
    }
  }
  if (timeLimit !== null && timeLimit !== undefined && !(timeLimit > 0)) {
    throw new ArgumentError(`train: timeLimit must be positive, got ${timeLimit}`);
  }
}
