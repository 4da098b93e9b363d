/** A run as a folder: config.json, metrics.jsonl and checkpoint.safetensors. Nothing in one is ever lost unasked. */
import { appendFile, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CheckpointError } from "@banach/autograd";
import type { TrainState } from "../train/index.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { type BackendRecord, formatConfig, parseConfig, type RunConfig } from "./config.ts";
import { dropTornLine, errorCode, writeAtomically } from "./files.ts";
import { formatMetrics, linesUpTo, type MetricsLine } from "./metrics.ts";

const CONFIG = "config.json";
const METRICS = "metrics.jsonl";
const CHECKPOINT = "checkpoint.safetensors";

/** An open run folder. */
export interface RunFolder {
  /** As it was given. */
  readonly path: string;
  readonly config: RunConfig;
  /** Adds a line to the metrics. A last line that was cut short before the folder was opened is dropped first. */
  append(line: MetricsLine): Promise<void>;
  /** Replaces the checkpoint at once. */
  save(state: TrainState): Promise<void>;
  /** The saved state; `like` is one of the same model and optimiser. Throws CheckpointError. */
  load(like: TrainState): Promise<TrainState>;
  /** Drops the metrics of steps after this one, which are about to be made again. */
  rewind(step: number): Promise<void>;
  /** The same folder with another number of steps, target, time limit or backend written to its config.json. */
  reconfigure(
    changes: Partial<Pick<RunConfig, "steps" | "target" | "timeLimit" | keyof BackendRecord>>,
  ): Promise<RunFolder>;
}

/**
 * Makes the folder of a new run, with a first checkpoint. Throws CheckpointError if there is a file or a folder with
 * anything in it.
 */
export async function createRun(path: string, config: RunConfig, state: TrainState): Promise<RunFolder> {
  await requireFree(path);
  const run = runFolder(path, config);
  await writeAtomically(join(path, CONFIG), formatConfig(config));
  await writeAtomically(join(path, METRICS), "");
  // Last: a folder without a checkpoint is one whose making was cut short.
  await run.save(state);
  return run;
}

/** Opens the folder of a run that was made before. Throws CheckpointError, saying why, if it is not one or not whole. */
export async function openRun(path: string): Promise<RunFolder> {
  const refuse = (why: string): CheckpointError => new CheckpointError(`${path} is not a run folder: ${why}`);
  const entries = await readdir(path).catch((error: unknown) => {
    throw refuse(errorCode(error) === "ENOENT" ? "it does not exist" : describe(error));
  });
  if (!entries.includes(CONFIG)) throw refuse(`it has no ${CONFIG}`);
  if (!entries.includes(CHECKPOINT)) {
    throw refuse(`it has no ${CHECKPOINT}; its making was cut short, so delete it and start again`);
  }
  const text = await readText(join(path, CONFIG)).catch((error: unknown) => {
    throw refuse(`${CONFIG}: ${describe(error)}`);
  });
  return runFolder(
    path,
    inFolder(path, () => parseConfig(text)),
  );
}

/** A folder can be used for a new run if it is not there or empty. */
async function requireFree(path: string): Promise<void> {
  const existing = await stat(path).catch(() => null);
  if (existing !== null && !existing.isDirectory()) {
    throw new CheckpointError(`${path} is a file; a run needs a folder of its own`);
  }
  if (existing !== null && (await readdir(path)).length > 0) {
    throw new CheckpointError(
      `${path} exists and is not empty; runs are not overwritten, so give another folder, or --resume to go on with it`,
    );
  }
  await mkdir(path, { recursive: true });
}

function runFolder(path: string, config: RunConfig): RunFolder {
  const at = (name: string): string => resolve(path, name);
  let endsInLine = false;
  return {
    path,
    config,
    append: async (line) => {
      if (!endsInLine) await dropTornLine(at(METRICS));
      // Until the line is there: one that fails half-way, on a full disk, leaves a torn one too.
      endsInLine = false;
      await appendFile(at(METRICS), formatMetrics(line));
      endsInLine = true;
    },
    save: (state) => writeAtomically(at(CHECKPOINT), encodeCheckpoint(state)),
    load: async (like) => {
      const bytes = await readFile(at(CHECKPOINT)).catch((error: unknown) => {
        throw new CheckpointError(`${path}: ${CHECKPOINT} cannot be read: ${describe(error)}`, { cause: error });
      });
      return inFolder(path, () => decodeCheckpoint(bytes, like));
    },
    rewind: async (step) => {
      const text = await readFile(at(METRICS), "utf8").catch(() => "");
      const kept = linesUpTo(text, step);
      if (kept !== text) await writeAtomically(at(METRICS), kept);
    },
    reconfigure: async (changes) => {
      const changed = { ...config, ...changes };
      await writeAtomically(at(CONFIG), formatConfig(changed));
      return runFolder(path, changed);
    },
  };
}

async function readText(path: string): Promise<string> {
  return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
}

/** Names the folder in errors about its files. */
function inFolder<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
