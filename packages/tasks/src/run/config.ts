/** config.json of a run: everything that its numbers depend on, checked when it is read. */
import { CheckpointError } from "@banach/autograd";
import { z } from "zod";
import { type AdjointConfig, adjointSchema } from "./adjoint-config.ts";
import { describeIssues } from "./issues.ts";
import { isRecord, parseJson } from "./json.ts";
import { type MixerConfig, mixerSchema } from "./mixer-config.ts";
import { type SolverConfig, solverSchema } from "./solver-config.ts";
import type { WeightsRecord } from "./weights-file.ts";

export const CONFIG_VERSION = 1;

export type LengthsConfig =
  | { readonly kind: "fixed"; readonly length: number }
  | { readonly kind: "uniform"; readonly from: number; readonly to: number }
  | { readonly kind: "curriculum"; readonly from: number; readonly to: number; readonly threshold: number };

/** A kind of layer that is a fixed point, with what only this kind has. */
export type FixedPointLayer =
  | { readonly kind: "fp-rnn" }
  /** `dState` is the size of each channel's state. */
  | { readonly kind: "fp-mamba"; readonly dState: number }
  /** `headDim` channels share a decay. */
  | { readonly kind: "fp-mamba-2"; readonly dState: number; readonly headDim: number };

/** The kind of the layers, with what only this kind has. */
export type LayerConfig = FixedPointLayer | { readonly kind: "mamba"; readonly dState: number };

/** What every kind of layer has. */
interface ModelSizes {
  readonly dModel: number;
  readonly expand: number;
  readonly layers: number;
}

/** What every layer has that is a fixed point. */
interface FixedPointParts {
  readonly mixer: MixerConfig;
  readonly solver: SolverConfig;
  readonly adjoint: AdjointConfig;
}

export type FixedPointModel = FixedPointLayer & ModelSizes & FixedPointParts;

export type ModelConfig = FixedPointModel | (Exclude<LayerConfig, FixedPointLayer> & ModelSizes);

/** Whether the model has a mixer, a solver and an adjoint. */
export function isFixedPoint(model: ModelConfig): model is FixedPointModel {
  return model.kind !== "mamba";
}

export interface OptimizerConfig {
  readonly learningRate: number;
  readonly schedule: "constant" | "cosine";
  readonly weightDecay: number;
  /** Largest global norm of the gradient; null does not clip. */
  readonly clip: number | null;
}

/** Where a run's programs run. */
export interface BackendRecord {
  /** A name that --backend takes. */
  readonly backend: string;
  /** With relaxed SIMD: results may differ in rounding from those without, and between machines. */
  readonly relaxed: boolean;
}

/** A configuration but for where it runs, which is known once a backend has started. */
export interface RunPlan {
  readonly version: typeof CONFIG_VERSION;
  readonly task: { readonly name: string; readonly options: Readonly<Record<string, string>> };
  readonly lengths: LengthsConfig;
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  readonly batch: number;
  /** Whether sequences go on from batch to batch, and when; absent or null: each batch begins anew. */
  readonly carry?: { readonly above: number; readonly tokens: number } | null | undefined;
  /**
   * The Gamma distribution that the iterations of solvers are limited by, drawn for each batch; absent or null: nothing but
   * the solver limits them.
   */
  readonly depth?: { readonly shape: number; readonly scale: number } | null;
  readonly steps: number;
  readonly seed: number;
  /** The file that the first weights are from; absent: they are drawn. */
  readonly init?: WeightsRecord;
  /** Training ends early at this token accuracy over so many batches of full length in a row; null trains all steps. */
  readonly target: { readonly accuracy: number; readonly batches: number } | null;
  /** Seconds; null is no limit. */
  readonly timeLimit: number | null;
}

/** A plan for a model that is a fixed point. */
export interface FixedPointPlan extends RunPlan {
  readonly model: FixedPointModel;
}

export interface RunConfig extends RunPlan, BackendRecord {}

const size = z.int().positive();

const lengthsSchema: z.ZodType<LengthsConfig> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("fixed"), length: size }),
  z.strictObject({ kind: z.literal("uniform"), from: size, to: size }),
  z.strictObject({ kind: z.literal("curriculum"), from: size, to: size, threshold: z.number().gt(0).lt(1) }),
]);

const modelSizes = { dModel: size, expand: size, layers: size };

const fixedPointParts = {
  ...modelSizes,
  mixer: mixerSchema,
  solver: solverSchema,
  adjoint: adjointSchema,
};

const modelSchema: z.ZodType<ModelConfig> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("fp-rnn"), ...fixedPointParts }),
  z.strictObject({ kind: z.literal("fp-mamba"), dState: size, ...fixedPointParts }),
  z.strictObject({ kind: z.literal("fp-mamba-2"), dState: size, headDim: size, ...fixedPointParts }),
  z.strictObject({ kind: z.literal("mamba"), dState: size, ...modelSizes }),
]);

const configSchema: z.ZodType<RunConfig> = z.strictObject({
  version: z.literal(CONFIG_VERSION),
  task: z.strictObject({ name: z.string(), options: z.record(z.string(), z.string()) }),
  lengths: lengthsSchema,
  model: modelSchema,
  optimizer: z.strictObject({
    learningRate: z.number().nonnegative(),
    schedule: z.enum(["constant", "cosine"]),
    weightDecay: z.number().nonnegative(),
    clip: z.number().positive().nullable(),
  }),
  batch: size,
  carry: z
    .strictObject({ above: z.number().gt(0).lte(1), tokens: size })
    .nullable()
    .optional(),
  depth: z.exactOptional(z.strictObject({ shape: z.number().positive(), scale: z.number().positive() }).nullable()),
  steps: z.int().nonnegative(),
  seed: z.int(),
  init: z.exactOptional(z.strictObject({ file: z.string(), sha256: z.string(), rounded: z.boolean() })),
  backend: z.string(),
  relaxed: z.boolean(),
  target: z.strictObject({ accuracy: z.number().gt(0).lte(1), batches: size }).nullable(),
  timeLimit: z.number().positive().nullable(),
});

/** The text of config.json. */
export function formatConfig(config: RunConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** The configuration in a text. Throws CheckpointError, which names each member that is wrong. */
export function parseConfig(text: string): RunConfig {
  const value = parseJson(text, "config.json");
  if (isRecord(value) && value["version"] !== CONFIG_VERSION) {
    throw new CheckpointError(
      `config.json: version ${JSON.stringify(value["version"])}, this program reads version ${CONFIG_VERSION}`,
    );
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) throw new CheckpointError(`config.json: ${describeIssues(parsed.error)}`);
  return parsed.data;
}
