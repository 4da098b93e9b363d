/** From the configuration of a run to its parts: task, model, optimiser, length schedule. */
import { optim, type Tracer } from "@banach/autograd";
import {
  fpMamba,
  fpMamba2,
  fpRnn,
  languageModel,
  type Layer,
  mamba,
  type Mixer,
  type RandomDepth,
  randomDepth,
  type SolverAndAdjoint,
} from "@banach/fprnn";
import {
  type FixedPointModel,
  isFixedPoint,
  type LengthsConfig,
  type ModelConfig,
  type OptimizerConfig,
  type RunPlan,
} from "../run/config.ts";
import { findTask, type Task } from "../tasks/index.ts";
import {
  type CarryOptions,
  curriculum,
  fixed,
  type LengthSchedule,
  type SequenceModel,
  uniform,
} from "../train/index.ts";
import { buildMixer } from "./mixers.ts";
import { defaultAdjoint, solverAndAdjoint } from "./solvers.ts";

/** What training needs of a configuration. */
export interface RunParts {
  readonly task: Task;
  readonly model: SequenceModel;
  readonly optimizer: optim.Optimizer;
  readonly lengths: LengthSchedule;
  readonly batch: number;
  readonly carry: CarryOptions | null;
  readonly depth: RandomDepth | null;
}

/** Throws ArgumentError (UnknownNameError for names) for values that fit their types and yet cannot be built. */
export function buildRun(config: RunPlan): RunParts {
  const task = buildTask(config);
  return {
    task,
    model: buildModel(config.model, task.vocabulary),
    optimizer: buildOptimizer(config.optimizer, config.steps),
    lengths: buildLengths(config.lengths),
    batch: config.batch,
    carry: config.carry ?? null,
    depth: config.depth ? randomDepth(config.depth) : null,
  };
}

export function buildTask(config: RunPlan): Task {
  return findTask(config.task.name).create(config.task.options);
}

/** The language model of one kind of layer, in float32. */
export function buildModel(config: ModelConfig, vocabulary: number): SequenceModel {
  const model = modelAt(config, vocabulary);
  // An adjoint that runs no solver has no iterations to limit.
  if (!isFixedPoint(config) || config.adjoint.kind === "unrolled") return model;
  return { ...model, atDepth: (depth) => modelAt(config, vocabulary, depth) };
}

/** In a trace also to a depth. */
function modelAt(config: ModelConfig, vocabulary: number, depth?: Tracer): SequenceModel {
  const { dModel, expand } = config;
  const stacked = <P, S>(layer: Layer<P, S>): SequenceModel =>
    languageModel({ vocabulary, dModel, layers: Array.from({ length: config.layers }, () => layer) });
  switch (config.kind) {
    case "fp-rnn":
      return stacked(fpRnn({ dModel, expand, ...fixedPointParts(config, depth) }));
    case "fp-mamba":
      return stacked(fpMamba({ dModel, expand, dState: config.dState, ...fixedPointParts(config, depth) }));
    case "fp-mamba-2": {
      const { dState, headDim } = config;
      return stacked(fpMamba2({ dModel, expand, dState, headDim, ...fixedPointParts(config, depth) }));
    }
    case "mamba":
      return stacked(mamba({ dModel, expand, dState: config.dState }));
    default:
      return config satisfies never;
  }
}

/** What a layer needs that is a fixed point. No layer may forget the depth, so that it is not optional. */
function fixedPointParts(
  config: FixedPointModel,
  depth: Tracer | undefined,
): SolverAndAdjoint & { readonly mixer: Mixer } {
  return { mixer: buildMixer(config.mixer), ...solverAndAdjoint(config, depth) };
}

/**
 * The same model, solved to another tolerance with up to `maxSteps` iterations. An adjoint that runs no solver gives way to
 * one that does.
 */
export function solvedTo(config: FixedPointModel, tol: number, maxSteps: number): FixedPointModel {
  const solver = { ...config.solver, tol, maxSteps };
  return { ...config, solver, ...(config.adjoint.kind === "unrolled" ? { adjoint: defaultAdjoint(solver) } : {}) };
}

export function buildLengths(config: LengthsConfig): LengthSchedule {
  switch (config.kind) {
    case "fixed":
      return fixed(config.length);
    case "uniform":
      return uniform(config.from, config.to);
    case "curriculum":
      return curriculum(config);
    default:
      return config satisfies never;
  }
}

function buildOptimizer(config: OptimizerConfig, steps: number): optim.Optimizer {
  const { learningRate, schedule, weightDecay } = config;
  const cosine = (): optim.Schedule => optim.cosine({ peak: learningRate, steps: Math.max(1, steps) });
  return optim.adamw({
    learningRate: schedule === "cosine" ? cosine() : learningRate,
    weightDecay,
    decay: optim.decayAllButNorms,
  });
}
