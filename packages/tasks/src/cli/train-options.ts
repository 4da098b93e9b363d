/** The options of `banach train`, and the plan of a run that they make. */
import { depthScale } from "@banach/fprnn";
import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import {
  CONFIG_VERSION,
  type LayerConfig,
  type LengthsConfig,
  type ModelConfig,
  type RunPlan,
  type SolverConfig,
  type SolverName,
  SOLVERS,
} from "../run/index.ts";
import { findTask, resolveOptions, taskDefinitions } from "../tasks/index.ts";
import { addAdjointOptions, ADJOINT_OPTIONS, type AdjointFlags, adjointOf } from "./adjoint-options.ts";
import { addBackendOptions, type BackendFlags } from "./backends.ts";
import { addMixerOptions, MIXER_OPTIONS, type MixerFlags, mixerOf } from "./mixer-options.ts";
import { folder, integer, nonNegative, positive, positiveInteger, share } from "./options.ts";

/** As commander hands them over; options of tasks are texts besides. */
export interface TrainFlags extends BackendFlags, MixerFlags, AdjointFlags {
  readonly task: string;
  readonly length: number;
  readonly minLength?: number;
  readonly lengthSchedule: LengthsConfig["kind"];
  readonly batch: number;
  readonly carryAbove?: number;
  readonly carryTokens?: number;
  readonly steps: number;
  readonly lr: number;
  readonly lrSchedule: "constant" | "cosine";
  readonly weightDecay: number;
  readonly clip: number;
  readonly layer: LayerConfig["kind"];
  readonly dModel: number;
  readonly expand: number;
  readonly state?: number;
  readonly headDim?: number;
  readonly layers: number;
  readonly solver: SolverName;
  readonly chunk?: number;
  readonly tol: number;
  readonly maxSteps: number;
  readonly randomDepth: "none" | "gamma" | "schedule";
  readonly seed: number;
  readonly target?: number;
  readonly targetBatches?: number;
  readonly timeLimit?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
}

/** Size of the state of each channel of FP-Mamba and Mamba. */
const STATE = 16;

/** Channels of a head of FP-Mamba-2. */
const HEAD_DIM = 64;

/** Steps of time that the solver chunked solves at once. */
const CHUNK = 16;

/** What --chunk is, in words. */
export const CHUNK_HELP: string = `chunked: steps of time that are solved at once (default: ${CHUNK})`;

/** Options of layers that are fixed points. */
const FIXED_POINT_OPTIONS: readonly string[] = [
  ...MIXER_OPTIONS,
  "solver",
  "chunk",
  "tol",
  "maxSteps",
  "randomDepth",
  ...ADJOINT_OPTIONS,
];

/** Positions that sequences which go on may have: eight times the default length. */
const CARRY_TOKENS = 128;

/** Batches that have to reach a target, unless options or an earlier target say otherwise. */
const TARGET_BATCHES = 3;

/** Options that may come with --resume: they change how long the run goes on and where, and not its numbers so far. */
export const RESUME_OPTIONS: readonly string[] = [
  "resume",
  "steps",
  "target",
  "targetBatches",
  "timeLimit",
  "backend",
  "relaxed",
  "threads",
  "json",
];

export function addTrainOptions(command: Command): Command {
  const choice = (flags: string, description: string, choices: readonly string[], fallback?: string): Option => {
    const option = new Option(flags, description).choices(choices);
    return fallback === undefined ? option : option.default(fallback);
  };
  // The name of a task is checked with those of its options, so that all messages are alike.
  command.option("--task <name>", `task: ${taskDefinitions.map(({ name }) => name).join(", ")}`, "word-problem");
  for (const task of taskDefinitions) {
    for (const { name, description, default: fallback, choices } of task.options) {
      const listed = choices === undefined ? "" : `: ${choices.join(", ")}`;
      command.option(`--${name} <value>`, `${task.name}: ${description}${listed} (default: "${fallback}")`);
    }
  }
  command
    .option("--length <n>", "full length of the sequences", positiveInteger, 16)
    .option(
      "--min-length <n>",
      "shortest length, of schedules that vary it (default: 2, or 1 for --length 1)",
      positiveInteger,
    )
    .addOption(choice("--length-schedule <name>", "lengths of batches", ["uniform", "fixed", "curriculum"], "uniform"))
    .option("--batch <n>", "sequences per step", positiveInteger, 64)
    .option(
      "--carry-above <accuracy>",
      "go on with the sequences of the last batch while the running accuracy is above, and lengths up to the full one are drawn (default: never)",
      share,
    )
    .option(
      "--carry-tokens <n>",
      `positions after which sequences that go on begin anew (default: ${CARRY_TOKENS})`,
      positiveInteger,
    )
    .option("--steps <n>", "steps, at most", positiveInteger, 900)
    .option("--lr <rate>", "learning rate of AdamW", positive, 3e-3)
    .addOption(choice("--lr-schedule <name>", "learning rate over the steps", ["constant", "cosine"], "constant"))
    .option("--weight-decay <rate>", "of all but norms and biases", nonNegative, 0.01)
    .option("--clip <norm>", "largest global norm of the gradient, 0 for any", nonNegative, 1)
    .addOption(
      choice(
        "--layer <name>",
        "kind of the layers; fp-mamba and fp-mamba-2 may not converge, mamba is no fixed point",
        ["fp-rnn", "fp-mamba", "fp-mamba-2", "mamba"],
        "fp-rnn",
      ),
    )
    .option("--d-model <n>", "channels of the model", positiveInteger, 16)
    .option("--expand <n>", "inner channels per channel", positiveInteger, 2)
    .option("--state <n>", `all but fp-rnn: state of a channel (default: ${STATE})`, positiveInteger)
    .option(
      "--head-dim <n>",
      "fp-mamba-2: channels that share a decay (default: 64, or all if they are fewer)",
      positiveInteger,
    )
    .option("--layers <n>", "layers of the model", positiveInteger, 1);
  addMixerOptions(command)
    .addOption(choice("--solver <name>", "how fixed points are found", SOLVERS, SOLVERS[0]))
    .option("--chunk <n>", CHUNK_HELP, positiveInteger)
    .option("--tol <tolerance>", "of the solver, relative", nonNegative, 0.03)
    .option("--max-steps <n>", "iterations of the solver, at most", positiveInteger, 40)
    .addOption(
      choice(
        "--random-depth <name>",
        "draw for each batch how many iterations up to --max-steps there may be: gamma, of mean 4; schedule, of mean 4 and a quarter of --length",
        ["none", "gamma", "schedule"],
        "none",
      ),
    );
  addAdjointOptions(command).option("--seed <n>", "of all random numbers", integer, 0);
  addBackendOptions(command, "the first that starts of wasm, reference; with --resume as before");
  return command
    .option("--target <accuracy>", "stop when it holds at full length; if it is missed, end with 1", share)
    .option(
      "--target-batches <n>",
      `batches of full length in a row that have to reach the target (default: ${TARGET_BATCHES}; with --resume as before)`,
      positiveInteger,
    )
    .option("--time-limit <seconds>", "stop training after so long", positive)
    .option("--out <folder>", "folder of the run (default: runs/ and the time)", folder)
    .option("--resume <folder>", "go on with the run in a folder", folder)
    .option("--json", "write results as JSON lines");
}

/** Throws UnknownNameError for a task, or an option of one, that is not known; UsageError for options that do not apply. */
export function planOf(flags: TrainFlags, command: Command): RunPlan {
  const task = findTask(flags.task);
  return {
    version: CONFIG_VERSION,
    task: { name: task.name, options: resolveOptions(task, taskOptionsOf(flags)) },
    lengths: lengthsOf(flags),
    model: modelOf(flags, command),
    optimizer: {
      learningRate: flags.lr,
      schedule: flags.lrSchedule,
      weightDecay: flags.weightDecay,
      clip: flags.clip === 0 ? null : flags.clip,
    },
    batch: flags.batch,
    carry: carryOf(flags),
    depth: depthOf(flags),
    steps: flags.steps,
    seed: flags.seed,
    target: targetOf(flags),
    timeLimit: flags.timeLimit ?? null,
  };
}

function carryOf({ carryAbove: above, carryTokens: tokens }: TrainFlags): RunPlan["carry"] {
  if (above !== undefined) return { above, tokens: tokens ?? CARRY_TOKENS };
  if (tokens === undefined) return null;
  throw new UsageError(`--carry-tokens ${tokens} means nothing without --carry-above; give that too`);
}

/** The target accuracy with its number of batches; what the options leave open is as before. Throws UsageError. */
export function targetOf({ target, targetBatches }: TrainFlags, before: RunPlan["target"] = null): RunPlan["target"] {
  const accuracy = target ?? before?.accuracy;
  if (accuracy !== undefined) return { accuracy, batches: targetBatches ?? before?.batches ?? TARGET_BATCHES };
  if (targetBatches === undefined) return null;
  throw new UsageError(`--target-batches ${targetBatches} means nothing without a target; give --target too`);
}

/** The options given that belong to some task; that the chosen one has them is checked later. */
function taskOptionsOf(flags: TrainFlags): Readonly<Record<string, string>> {
  const names = new Set(taskDefinitions.flatMap(({ options }) => options.map(({ name }) => name)));
  const given = Object.entries(flags as unknown as Readonly<Record<string, unknown>>);
  return Object.fromEntries(given.flatMap(([name, value]) => (names.has(name) ? [[name, String(value)]] : [])));
}

function modelOf(flags: TrainFlags, command: Command): ModelConfig {
  const { dModel, expand, layers } = flags;
  const sizes = { dModel, expand, layers };
  const layer = layerOf(flags);
  if (layer.kind === "mamba") {
    const given = givenOptions(command, (name) => FIXED_POINT_OPTIONS.includes(name));
    if (given.length === 0) return { ...layer, ...sizes };
    throw new UsageError(`${given.join(", ")}: for layers that are fixed points; --layer mamba is none`);
  }
  const solver = solverOf(flags.solver, flags, flags.chunk);
  return { ...layer, ...sizes, mixer: mixerOf(flags), solver, adjoint: adjointOf(flags, solver) };
}

/** Throws UsageError for a size that the layer does not have. */
function layerOf({ layer, state, headDim, dModel, expand }: TrainFlags): LayerConfig {
  if (headDim !== undefined && layer !== "fp-mamba-2") {
    throw new UsageError(`--head-dim ${headDim} is for --layer fp-mamba-2; ${layer} has no heads`);
  }
  switch (layer) {
    case "fp-rnn":
      if (state === undefined) return { kind: layer };
      throw new UsageError(`--state ${state} is for layers of the Mamba family; ${layer} has one state per channel`);
    case "fp-mamba-2":
      return { kind: layer, dState: state ?? STATE, headDim: headDim ?? Math.min(HEAD_DIM, dModel * expand) };
    case "fp-mamba":
    case "mamba":
      return { kind: layer, dState: state ?? STATE };
    default:
      return layer satisfies never;
  }
}

/** Shape 4 is the authors', as is the schedule. Throws UsageError where no solver is run. */
function depthOf({ randomDepth, length, adjoint }: TrainFlags): NonNullable<RunPlan["depth"]> | null {
  if (randomDepth === "none") return null;
  if (adjoint === "unrolled") {
    throw new UsageError(`--random-depth ${randomDepth} is for solvers; --adjoint unrolled runs none`);
  }
  return { shape: 4, scale: randomDepth === "schedule" ? depthScale(length) : 1 };
}

/** The solver that options describe. Throws UsageError for a chunk that the solver does not have. */
export function solverOf(
  kind: SolverName,
  limits: Pick<SolverConfig, "tol" | "maxSteps">,
  chunk: number | undefined,
): SolverConfig {
  const { tol, maxSteps } = limits;
  if (kind === "chunked") return { kind, chunk: chunk ?? CHUNK, tol, maxSteps };
  if (chunk === undefined) return { kind, tol, maxSteps };
  throw new UsageError(`--chunk ${chunk} is for --solver chunked; ${kind} does not cut sequences`);
}

/** The options of some names that were given, as they are written. */
export function givenOptions(command: Command, isMeant: (name: string) => boolean): readonly string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    return isMeant(name) && command.getOptionValueSource(name) === "cli" && option.long ? [option.long] : [];
  });
}

function lengthsOf({ lengthSchedule, length, minLength = Math.min(2, length) }: TrainFlags): LengthsConfig {
  if (lengthSchedule === "fixed") return { kind: "fixed", length };
  if (minLength > length) throw new UsageError(`--min-length ${minLength} is above --length ${length}`);
  switch (lengthSchedule) {
    case "uniform":
      return { kind: "uniform", from: minLength, to: length };
    case "curriculum":
      return { kind: "curriculum", from: minLength, to: length, threshold: 0.9 };
    default:
      return lengthSchedule satisfies never;
  }
}
