/** The solver of a configuration: its names, and what each of them has. */
import { z } from "zod";

/** In the order in which they are offered; the first is the default. */
export const SOLVERS = ["sequential", "picard", "anderson", "newton", "chunked", "auto"] as const;

export type SolverName = (typeof SOLVERS)[number];

interface Limits {
  readonly tol: number;
  readonly maxSteps: number;
}

export type SolverConfig =
  | ({ readonly kind: Exclude<SolverName, "chunked"> } & Limits)
  /** `chunk` is the number of steps of time that are solved at once. */
  | ({ readonly kind: "chunked"; readonly chunk: number } & Limits);

const limits = { tol: z.number().nonnegative(), maxSteps: z.int().positive() };

export const solverSchema: z.ZodType<SolverConfig> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(SOLVERS).exclude(["chunked"]), ...limits }),
  z.strictObject({ kind: z.literal("chunked"), chunk: z.int().positive(), ...limits }),
]);
