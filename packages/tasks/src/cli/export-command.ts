/** `banach export FOLDER FILE`: the weights of a run as a file that other programs read. */
import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { buildRun } from "../models/build.ts";
import { type Naming, openRun, saveWeights } from "../run/index.ts";
import { initialState } from "../train/index.ts";
import { EXIT } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import { reporter } from "./reporter.ts";

export interface ExportFlags {
  readonly names: Naming;
  readonly force?: boolean;
  readonly json?: boolean;
}

export async function exportCommand(io: Io, folder: string, file: string, command: Command): Promise<number> {
  const { names, force = false, json = false } = command.opts<ExportFlags>();
  const report = reporter(io, json);
  const run = await openRun(folder);
  await requireOutside(folder, file);
  const { params, counters } = await run.load(initialState({ ...buildRun(run.config), seed: run.config.seed }));
  await saveWeights(file, params, { naming: names, force });
  const { step } = counters;
  report.event({ type: "export", folder, step, file, names });
  report.result(`${file}: the weights of ${folder} after step ${step}, names ${names}`);
  return EXIT.ok;
}

/** Throws UsageError for a file in the run folder itself, where --force might replace the checkpoint. */
async function requireOutside(folder: string, file: string): Promise<void> {
  const parent = await realpath(dirname(file)).catch(() => null);
  if (parent !== (await realpath(folder))) return;
  throw new UsageError(`${file} is in the run folder, which is the run's own; give ${basename(file)} another place`);
}
