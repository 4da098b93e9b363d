/** The mixer of a configuration: its names, and what each of them has. */
import { z } from "zod";

/** Those that can stand alone, and be part of a mixture. In the order in which they are offered; the first is the default. */
export const EXPERTS = ["householder", "dplr", "kronecker", "monarch", "dense", "orthogonal"] as const;

export type ExpertName = (typeof EXPERTS)[number];

export type MixerName = ExpertName | "mixture";

export const MIXERS: readonly MixerName[] = [...EXPERTS, "mixture"];

export const NORMALISATIONS = ["column", "spectral", "certified"] as const;

interface Gained {
  /** Factor on I - Q: 1 is the paper's, 2 the authors' code. */
  readonly gain: 1 | 2;
}

interface Selective extends Gained {
  /** Size of the bottleneck that the matrices are computed through; none if it is not there. */
  readonly projectionRank?: number;
}

interface Factored {
  /** d1 and d2, the inner channels being d1 d2; the most equal ones if they are not there. */
  readonly factors?: readonly [number, number];
}

/** A mixer by itself, which can also be one of a mixture. */
export type ExpertConfig =
  | ({ readonly kind: "householder" | "dplr"; readonly rank: number } & Selective)
  | ({ readonly kind: "kronecker"; readonly normalisation: (typeof NORMALISATIONS)[number] } & Factored & Selective)
  | ({ readonly kind: "monarch" } & Factored & Selective)
  | ({ readonly kind: "dense" } & Selective)
  /** As many `reflections` as channels if they are not there. */
  | ({ readonly kind: "orthogonal"; readonly reflections?: number } & Gained);

export type MixerConfig = ExpertConfig | { readonly kind: "mixture"; readonly experts: readonly ExpertConfig[] };

const size = z.int().positive();
const gained = { gain: z.union([z.literal(1), z.literal(2)]) };
const selective = { ...gained, projectionRank: z.exactOptional(size) };
const factored = { factors: z.exactOptional(z.tuple([size, size])) };

const experts = [
  z.strictObject({ kind: z.enum(["householder", "dplr"]), rank: size, ...selective }),
  z.strictObject({
    kind: z.literal("kronecker"),
    normalisation: z.enum(NORMALISATIONS),
    ...factored,
    ...selective,
  }),
  z.strictObject({ kind: z.literal("monarch"), ...factored, ...selective }),
  z.strictObject({ kind: z.literal("dense"), ...selective }),
  z.strictObject({ kind: z.literal("orthogonal"), reflections: z.exactOptional(size), ...gained }),
] as const;

export const mixerSchema: z.ZodType<MixerConfig> = z.discriminatedUnion("kind", [
  ...experts,
  z.strictObject({ kind: z.literal("mixture"), experts: z.array(z.discriminatedUnion("kind", experts)).min(1) }),
]);
