/** What training carries from step to step, on the host: all of it, so that a saved state goes on bit for bit. */
import { type HostTensor, key, type optim, random } from "@banach/autograd";
import type { Task } from "../tasks/task.ts";
import { type Carried, type CarryOptions, nothingCarried, requireCarrying } from "./carry.ts";
import type { LengthSchedule, LengthState } from "./lengths.ts";
import type { Params, SequenceModel } from "./model.ts";

export interface TrainCounters {
  /** Steps made, skipped updates included. */
  readonly step: number;
  /** Updates skipped because a sequence diverged, or the loss or the gradient was not finite. */
  readonly skipped: number;
  /** Of these, the last ones in a row. */
  readonly skippedInRow: number;
  /** Of these in turn, the ones where a sequence diverged. */
  readonly divergedInRow: number;
  /** Of those in a row, the ones that are not finite because a backward solve failed. */
  readonly adjointFailedInRow: number;
  /** Sequences, over all steps, whose backward solve did not meet its tolerance. */
  readonly adjointFailed: number;
  /** Sequences, over all steps, whose solver did not meet its tolerance. */
  readonly notConverged: number;
  /** Of these, the ones that ran away or came out not finite. */
  readonly diverged: number;
  readonly lengths: LengthState;
  /** Positions that the sequences of the next batch have behind them, 0 if all of them begin anew. */
  readonly carriedTokens: number;
  /** Token accuracies of the last batches of full length, skipped ones left out, oldest first. */
  readonly fullLength: readonly number[];
}

export interface TrainState {
  readonly params: Params;
  readonly optimizer: unknown;
  /** The root of all random numbers of the run. */
  readonly key: HostTensor;
  /** Where sequences go on from batch to batch. */
  readonly carried?: Carried;
  readonly counters: TrainCounters;
}

/** Purposes of random numbers, each with a stream of its own. */
const STREAMS = { parameters: 0, training: 1, lengths: 2, evaluation: 3, depth: 4 } as const;

/** The key of a purpose, from the root key; fold in a step or a length for each draw. */
export function streamKey(root: HostTensor, stream: keyof typeof STREAMS): HostTensor {
  return random.foldIn(root, STREAMS[stream]);
}

/** The state before the first step. */
export function initialState(options: {
  readonly model: SequenceModel;
  readonly optimizer: optim.Optimizer;
  readonly lengths: LengthSchedule;
  readonly seed: number;
  readonly batch: number;
  readonly task: Task;
  readonly carry?: CarryOptions | null;
}): TrainState {
  const root = key(options.seed);
  const { carry = null, batch, task, model } = options;
  const params = options.model.init(streamKey(root, "parameters"));
  return {
    params,
    optimizer: options.optimizer.init(params),
    key: root,
    ...(carry === null ? {} : { carried: nothingCarried(requireCarrying(carry, task, model), batch) }),
    counters: {
      step: 0,
      skipped: 0,
      skippedInRow: 0,
      divergedInRow: 0,
      adjointFailedInRow: 0,
      adjointFailed: 0,
      notConverged: 0,
      diverged: 0,
      carriedTokens: 0,
      lengths: options.lengths.start,
      fullLength: [],
    },
  };
}
