/** Checkpoints: a training state as a safetensors file, compared with the model before any of it is used. */
import { CheckpointError, flatten, formatType, HostTensor, unflatten } from "@banach/autograd";
import { z } from "zod";
import type { TrainCounters, TrainState } from "../train/index.ts";
import { describeIssues } from "./issues.ts";
import { parseJson } from "./json.ts";
import { readSafetensors } from "./read-safetensors.ts";
import { writeSafetensors } from "./safetensors.ts";

/** Of the format of what is inside the file. */
const VERSION = "1";

const count = z.int().nonnegative();
const countersSchema: z.ZodType<TrainCounters> = z.strictObject({
  step: count,
  skipped: count,
  skippedInRow: count,
  notConverged: count,
  // Checkpoints from before they were counted have none.
  diverged: count.default(0),
  divergedInRow: count.default(0),
  adjointFailedInRow: count.default(0),
  adjointFailed: count.default(0),
  // Checkpoints from before sequences could go on have none.
  carriedTokens: count.default(0),
  lengths: z.strictObject({ limit: count, accuracy: z.number() }),
  fullLength: z.array(z.number()),
});

/** The bytes of a state. Floats are written as they are, so reading gives the same bits. */
export function encodeCheckpoint(state: TrainState): Uint8Array {
  const { counters, ...trees } = state;
  const tensors = new Map<string, HostTensor>();
  for (const { path, leaf } of flatten(trees).leaves) {
    if (!(leaf instanceof HostTensor)) throw new CheckpointError(`checkpoint: '${path}' is not on the host`);
    if (tensors.has(path)) throw new CheckpointError(`checkpoint: two tensors are called '${path}'`);
    tensors.set(path, leaf);
  }
  const metadata = new Map([
    ["format", "banach-checkpoint"],
    ["version", VERSION],
    ["counters", JSON.stringify(counters)],
  ]);
  return writeSafetensors({ tensors, metadata });
}

/**
 * The state in a file, which must have exactly the tensors of `like`, of the same types: a state of the same model and
 * optimiser. Throws CheckpointError saying what differs.
 */
export function decodeCheckpoint(file: Uint8Array, like: TrainState): TrainState {
  const { tensors, metadata } = readSafetensors(file);
  if (metadata.get("format") !== "banach-checkpoint") {
    throw new CheckpointError("checkpoint: a safetensors file, but not a checkpoint of this program");
  }
  const version = metadata.get("version") ?? "none";
  if (version !== VERSION) {
    throw new CheckpointError(`checkpoint: version ${version}, this program reads version ${VERSION}`);
  }
  const counters = countersSchema.safeParse(parseJson(metadata.get("counters") ?? "", "checkpoint, counters"));
  if (!counters.success) throw new CheckpointError(`checkpoint: counters: ${describeIssues(counters.error)}`);

  const { counters: _, ...trees } = like;
  const { leaves, def } = flatten(trees);
  const expected = new Map(leaves.map(({ path, leaf }) => [path, leaf as HostTensor]));
  for (const [path, tensor] of expected) {
    const found = tensors.get(path);
    if (found === undefined) throw new CheckpointError(`checkpoint: '${path}' of the model is missing`);
    if (formatType(found.type) !== formatType(tensor.type)) {
      throw new CheckpointError(
        `checkpoint: '${path}' is ${formatType(found.type)}, the model has ${formatType(tensor.type)}`,
      );
    }
  }
  for (const path of tensors.keys()) {
    if (!expected.has(path)) throw new CheckpointError(`checkpoint: '${path}' is not in the model`);
  }
  const state = unflatten(
    def,
    leaves.map(({ path }) => tensors.get(path)),
  ) as Omit<TrainState, "counters">;
  return { ...state, counters: counters.data };
}
