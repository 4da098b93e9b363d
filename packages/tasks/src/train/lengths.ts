/** How long the sequences of each batch are: schedules as values, whose small state is saved with a checkpoint. */
import { ArgumentError, type HostTensor, random } from "@banach/autograd";

/** What a schedule remembers. Plain numbers, so that it can be written as JSON. */
export interface LengthState {
  /** The longest length in use at present. */
  readonly limit: number;
  /** Running accuracy over batches of all lengths, skipped ones left out: 0.9 of the last one and 0.1 of the batch's. */
  readonly accuracy: number;
}

/** A rule for the length of each batch. One batch has one length, so that programs are compiled per length. */
export interface LengthSchedule {
  readonly name: string;
  /** The full length: what training is for. */
  readonly full: number;
  readonly start: LengthState;
  /** The length of the next batch, a function of the state and the key. */
  next(state: LengthState, key: HostTensor): number;
  /** The state after a batch that was trained on, given its token accuracy. */
  observe(state: LengthState, accuracy: number): LengthState;
}

export interface CurriculumOptions {
  readonly from: number;
  readonly to: number;
  /** Running accuracy at which the limit grows; default 0.9. */
  readonly threshold?: number;
}

/** The same length always. */
export function fixed(length: number): LengthSchedule {
  requireLengths("fixed", length, length);
  return schedule(`fixed(${length})`, length, length, { next: () => length, limit: (limit) => limit });
}

/** Each length from `from` to `to` with the same probability. */
export function uniform(from: number, to: number): LengthSchedule {
  requireLengths("uniform", from, to);
  return schedule(`uniform(${from}, ${to})`, to, to, {
    next: (_limit, key) => between(key, from, to),
    limit: (limit) => limit,
  });
}

/**
 * Lengths from [max(from, limit / 2), limit]; the limit starts at `from` and grows by a quarter, at least by 1, up to
 * `to`, each time the running accuracy passes the threshold; the running accuracy then starts anew.
 */
export function curriculum({ from, to, threshold = 0.9 }: CurriculumOptions): LengthSchedule {
  requireLengths("curriculum", from, to);
  if (!(threshold > 0 && threshold < 1)) {
    throw new ArgumentError(`curriculum: threshold must be between 0 and 1, got ${threshold}`);
  }
  return schedule(`curriculum(${from}, ${to}, ${threshold})`, from, to, {
    next: (limit, key) => between(key, Math.max(from, Math.floor(limit / 2)), limit),
    limit: (limit, accuracy) =>
      accuracy > threshold ? Math.min(to, limit + Math.max(1, Math.floor(limit / 4))) : limit,
  });
}

interface Rule {
  readonly next: (limit: number, key: HostTensor) => number;
  readonly limit: (limit: number, accuracy: number) => number;
}

function schedule(name: string, first: number, full: number, rule: Rule): LengthSchedule {
  return Object.freeze({
    name,
    full,
    start: { limit: first, accuracy: 0 },
    next: ({ limit }: LengthState, key: HostTensor) => rule.next(limit, key),
    observe(state: LengthState, batch: number): LengthState {
      const accuracy = 0.9 * state.accuracy + 0.1 * batch;
      const limit = rule.limit(state.limit, accuracy);
      return { limit, accuracy: limit > state.limit ? 0 : accuracy };
    },
  });
}

/** A uniform integer in [low, high]; the bias is below (high - low + 1) / 2^32. */
function between(key: HostTensor, low: number, high: number): number {
  const word = random.bits(key, []).item();
  return low + Math.floor((word / 2 ** 32) * (high - low + 1));
}

function requireLengths(name: string, from: number, to: number): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 1 || to < from) {
    throw new ArgumentError(`${name}: lengths must be integers with 1 <= from <= to, got ${from} and ${to}`);
  }
}
