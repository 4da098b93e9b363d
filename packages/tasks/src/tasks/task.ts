/** What a task is: a source of batches of labelled sequences. It knows neither models nor training. */
import type { HostTensor } from "@banach/autograd";

/** Sequences with the right answers. All three are [batch, time]. */
export interface Batch {
  /** int32: the tokens that the model reads. */
  readonly inputs: HostTensor;
  /** int32: the token that is right at each position. */
  readonly targets: HostTensor;
  /** bool: the positions that count, in the loss and in the accuracies. */
  readonly mask: HostTensor;
}

export interface BatchSize {
  /** Number of sequences. */
  readonly batch: number;
  /** Length of every sequence, as the task counts it; the time axis may be longer by a constant. */
  readonly length: number;
}

/** Where a batch of sequences has got to, for tasks whose sequences can go on in the next batch. */
export interface TaskPosition {
  /** int32[batch]: what the task remembers of each sequence. */
  readonly memory: HostTensor;
  /** bool[batch]: sequences that end here; a new one begins in their place. */
  readonly restart: HostTensor;
}

export interface Task {
  /** E.g. `word-problem Z2`. */
  readonly name: string;
  /** A sentence on what has to be learnt. */
  readonly description: string;
  /** Number of tokens, unused ones that pad it included. */
  readonly vocabulary: number;
  /** A batch, a function of the key and the size only. Throws ArgumentError for a size it cannot make. */
  sample(key: HostTensor, size: BatchSize): Batch;
  /**
   * The next piece of sequences that go on, of the shape of `sample`, and what the task remembers after it; a function of
   * its arguments only. Absent where sequences have an end.
   */
  readonly resume?: (key: HostTensor, size: BatchSize, from: TaskPosition) => ResumedBatch;
}

export interface ResumedBatch extends Batch {
  /** int32[batch]: the `memory` to go on from. */
  readonly memory: HostTensor;
}

/** A task before its options are chosen: what `banach train --task` names. */
export interface TaskDefinition {
  readonly name: string;
  /** Options by name, with what they mean and their default. All are texts. */
  readonly options: readonly TaskOption[];
  /** Throws ArgumentError, listing what is valid, for an unknown option or value. Missing options have their defaults. */
  create(options: Readonly<Record<string, string>>): Task;
}

export interface TaskOption {
  readonly name: string;
  readonly description: string;
  readonly default: string;
  /** All values, when they can be listed. */
  readonly choices?: readonly string[];
}
