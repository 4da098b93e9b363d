/** Sequences that go on from batch to batch: what is carried, and when they begin anew. */
import { array, ArgumentError, type HostTensor } from "@banach/autograd";
import type { Task } from "../tasks/task.ts";
import type { LengthSchedule, LengthState } from "./lengths.ts";
import type { SequenceModel } from "./model.ts";

/**
 * While lengths up to the full one are drawn and the running accuracy, which is over all lengths drawn, is beyond `above`,
 * each batch goes on with the sequences of the last one: their states are passed on, without gradient. A sequence whose last label was wrong begins anew, and all do after `tokens`
 * positions. So a model that can follow short sequences is trained on long ones, at the cost of short ones.
 */
export interface CarryOptions {
  /** Running accuracy, in (0, 1]. */
  readonly above: number;
  readonly tokens: number;
}

/** What sequences leave behind, on the host or where the program is. */
export interface Carried {
  /** The model's states, a tree of [batch, ...]. */
  readonly model: unknown;
  /** int32[batch]: the task's. */
  readonly memory: HostTensor;
  /** bool[batch]: the sequences that begin anew in the next batch. */
  readonly restart: HostTensor;
}

/** A task and a model whose sequences can go on. */
export interface Carrying {
  readonly resume: NonNullable<Task["resume"]>;
  readonly initialState: NonNullable<SequenceModel["initialState"]>;
}

/** Throws ArgumentError for options outside their domains, and where the task or the model has sequences that end. */
export function requireCarrying({ above, tokens }: CarryOptions, task: Task, model: SequenceModel): Carrying {
  if (!(above > 0 && above <= 1) || !Number.isSafeInteger(tokens) || tokens < 1) {
    throw new ArgumentError(
      `train: carry is above an accuracy in (0, 1] and for a positive number of tokens, got ${above} and ${tokens}`,
    );
  }
  const { resume } = task;
  if (resume === undefined)
    throw new ArgumentError(`train: the sequences of ${task.name} have an end; leave carry out`);
  if (model.initialState === undefined)
    throw new ArgumentError("train: the model has no state to carry; leave carry out");
  return { resume, initialState: (batch) => model.initialState?.(batch) };
}

/** Before the first batch: all sequences begin. */
export function nothingCarried({ initialState }: Carrying, batch: number): Carried {
  const all = Array.from({ length: batch }, () => true);
  return { model: initialState(batch), memory: array(new Int32Array(batch), { shape: [batch] }), restart: flags(all) };
}

/** What is known of a batch once it has been trained on. */
export interface Trained {
  /** Positions of its sequences, those of earlier batches included. */
  readonly tokens: number;
  /** Whether the update was made; if not, states may not be finite. */
  readonly applied: boolean;
  /** The state of the schedule after the batch. */
  readonly lengths: LengthState;
}

/** Positions that the sequences of the next batch have behind them: 0 if all of them begin anew. */
export function tokensCarried(
  { above, tokens: most }: CarryOptions,
  { full }: LengthSchedule,
  { tokens, applied, lengths }: Trained,
): number {
  const ready = lengths.limit === full && lengths.accuracy > above;
  return ready && applied && tokens < most ? tokens : 0;
}

/** bool[batch]: which sequences begin anew, after a batch whose last labels were `right`. */
export function restartsAfter(tokens: number, right: readonly boolean[]): HostTensor {
  return flags(right.map((is) => tokens === 0 || !is));
}

const flags = (values: readonly boolean[]): HostTensor =>
  array(Uint8Array.from(values, Number), { dtype: "bool", shape: [values.length] });
