/** The adjoint of a configuration: its names, and what each of them has. */
import { z } from "zod";

/** In the order in which they are offered. Which of them fit a solver depends on the solver. */
export const ADJOINTS = [
  "through-time",
  "through-time-implicit",
  "truncated",
  "neumann",
  "implicit",
  "unrolled",
] as const;

export type AdjointName = (typeof ADJOINTS)[number];

/** Those that differentiate a sweep through time, and so need a solver that makes one. */
export const SWEPT = ["through-time", "through-time-implicit"] as const;

/** Those that make a number of steps, which has to be known. */
export const STEPPED = ["truncated", "neumann", "unrolled"] as const;

export type AdjointConfig =
  | { readonly kind: (typeof SWEPT)[number] }
  | { readonly kind: "implicit" }
  /** `steps` differentiable steps from the solution, terms of the series, or sweeps from zeros. */
  | { readonly kind: (typeof STEPPED)[number]; readonly steps: number };

const steps = z.int().positive();

export const adjointSchema: z.ZodType<AdjointConfig> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(SWEPT) }),
  z.strictObject({ kind: z.literal("implicit") }),
  // The first configurations of version 1 do not say how many steps: it was always one.
  z.strictObject({ kind: z.literal("truncated"), steps: steps.default(1) }),
  z.strictObject({ kind: z.enum(["neumann", "unrolled"]), steps }),
]);
