/** Every solver, and ways to run one, for tests that hold for all of them. */
import { array, type Device, type HostTensor, type Tracer } from "@banach/autograd";
import {
  anderson,
  auto,
  type CausalProblem,
  chunked,
  newton,
  picard,
  sequential,
  solve,
  type Solution,
  type Solver,
  STATUSES,
  type Tolerances,
} from "../../src/index.ts";

/** By what it is called in the names of tests. */
export const SOLVERS: Readonly<Record<string, (tolerances: Partial<Tolerances>) => Solver>> = {
  picard: (tolerances) => picard(tolerances),
  "picard, current rule": (tolerances) => picard({ ...tolerances, rule: "current" }),
  "picard, each by itself": (tolerances) => picard({ ...tolerances, rule: "each" }),
  anderson: (tolerances) => anderson(tolerances),
  "anderson, damped": (tolerances) => anderson({ ...tolerances, damping: 0.7, memory: 3, regularisation: 1e-6 }),
  newton: (tolerances) => newton(tolerances),
  sequential: (tolerances) => sequential(tolerances),
  "chunked(1)": (tolerances) => chunked({ ...tolerances, chunk: 1 }),
  "chunked(3)": (tolerances) => chunked({ ...tolerances, chunk: 3 }),
  "chunked(2) by anderson": (tolerances) => chunked({ ...tolerances, chunk: 2, solver: anderson() }),
  "chunked(99)": (tolerances) => chunked({ ...tolerances, chunk: 99 }),
  auto: (tolerances) => auto(tolerances),
  "auto for a parallel machine": (tolerances) => auto({ ...tolerances, prefers: "parallel", width: 6 }),
};

export const EVERY_SOLVER = Object.entries(SOLVERS);

export const statuses = (codes: ArrayLike<number>): string[] => Array.from(codes, (code) => STATUSES[code]!);

/** The solver's own iterate, from zeros unless a start is given; unsolved sequences do not throw. */
export function solved<Theta extends { readonly x: Tracer }>(
  device: Device,
  problem: CausalProblem<Theta>,
  theta: Parameters<typeof solve<Theta>>[3],
  solver: Solver,
  start?: HostTensor,
): Promise<Solution> {
  const { shape, dtype } = (theta as unknown as { readonly x: HostTensor }).x;
  const size = shape.reduce((a, b) => a * b, 1);
  const zeros = dtype === "float64" ? new Float64Array(size) : new Float32Array(size);
  return solve(device, problem, start ?? array(zeros, { shape }), theta, { solver, throw: false });
}
