/** The chunked solver: in parallel within pieces of time, one piece after the other. */
import { ArgumentError, concatenate, scan, stopGradient, type Tracer, treeMap } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import type { Causal, Problem } from "../problem.ts";
import { detachStats, type SolveStats } from "../stats.ts";
import { picard } from "./picard.ts";
import { type CausalSolver, type Limits, type ParallelSolver, requireTolerances, type Solved } from "./solver.ts";

export interface ChunkedOptions extends Partial<Limits> {
  /** Steps of time that are solved at once. */
  readonly chunk: number;
  /** How a piece is solved; default picard(). Its trace, if it has one, becomes the trace of the whole. */
  readonly solver?: ParallelSolver;
}

/**
 * Solves pieces of `chunk` steps in parallel, front to back, each going on from the state and the y that the one before
 * ended with. Finds the fixed point of `sequential` and `picard` where the map contracts: with chunk 1 it steps through
 * time as the former, with chunks as long as the sequence it is the latter. Information has to travel `chunk` steps only,
 * so a piece needs about as many iterations at most, where Picard on all of T needs about T on state tracking: the work
 * is that of T * chunk instead of T * T steps, in T / chunk parts that follow each other.
 *
 * `stats` count the most iterations of any piece and have the largest residual and the worst status of all pieces. With
 * `throughTime`, the sweep that is differentiated starts from this solver's solution, and `stats` are the sweep's. Needs a
 * causal problem with `pieces`. Tolerances are the inner solver's unless given. Throws ArgumentError for options outside
 * their domain.
 */
export function chunked(options: ChunkedOptions): CausalSolver {
  const { chunk, solver = picard() } = options;
  requirePositiveInteger("chunked: chunk", chunk);
  // The types ask for it; callers in plain JavaScript may not know.
  if ((solver.kind as string) !== "parallel") {
    throw new ArgumentError(
      `chunked: the solver within a piece must be a parallel one, such as picard(); got ${solver.name}`,
    );
  }
  const tolerances = requireTolerances("chunked", options, solver);
  const inner = solver.with(tolerances);
  const { trace } = inner;
  const solve: CausalSolver["solve"] = (problem, y0, theta) =>
    problem.causal((causal) => solvePieces(causal, problem, y0, theta, chunk, inner));
  return {
    kind: "causal",
    name: solver.name === "picard" ? `chunked(${chunk})` : `chunked(${chunk}, ${solver.name})`,
    ...tolerances,
    ...(trace === undefined ? {} : { trace }),
    with: (changed) => chunked({ chunk, solver, ...tolerances, ...changed }),
    solve,
    start: (problem, y0, theta) => solve(problem, y0, theta).y,
  };
}

/** What one piece gives: y [batch, time, channel] and its stats. */
type Piece = Pick<Solved, "y" | "stats">;

function solvePieces<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  problem: Problem<Theta>,
  y0: Tracer,
  theta: Theta,
  chunk: number,
  inner: ParallelSolver,
): Piece {
  const { pieces } = causal;
  if (pieces === undefined) {
    throw new ArgumentError(
      "chunked needs to know the problem on a piece of time; add pieces: { theta, stateAfter } to its causal parts, or use sequential()",
    );
  }
  const [batch, time, channels] = [y0.dim(0), y0.dim(1), y0.dim(2)];
  const { inputs, state, previous } = causal.prepare(theta);
  const solvePiece = (before: State, last: Tracer, input: Input, start: Tracer): Piece & { readonly own: Theta } => {
    const own = pieces.theta(input, before, last, theta);
    const { y, stats } = inner.solve(problem, start, own);
    return { y, stats, own };
  };
  const cut = (from: number, to: number): Input => treeMap((x: Tracer) => x.sliceAxis(0, from, to), inputs) as Input;
  const count = Math.floor(time / chunk);
  if (count === 0 || (count === 1 && time === chunk)) {
    const { y, stats } = solvePiece(state, previous, inputs, y0);
    return { y, stats };
  }

  const whole = count * chunk;
  const [last, solved] = scan(
    (carry, xs) => {
      // State and Input are trees of tracers, so tracing leaves them as they are; the compiler cannot know.
      const { y, stats, own } = solvePiece(carry.state as State, carry.previous, xs.input as Input, xs.start);
      return [
        { state: stopGradient(pieces.stateAfter(y, own)) as State, previous: y.index(1, -1) },
        { y, stats },
      ];
    },
    { state: stopGradient(state) as State, previous: stopGradient(previous) },
    {
      input: treeMap((x: Tracer) => x.reshape([count, chunk, ...x.shape.slice(1)]), cut(0, whole)) as Input,
      start: y0.sliceAxis(1, 0, whole).reshape([batch, count, chunk, channels]).transpose([1, 0, 2, 3]),
    },
  );
  const parts: Piece = {
    y: solved.y.transpose([1, 0, 2, 3]).reshape([batch, whole, channels]),
    stats: summary(solved.stats, inner),
  };
  if (whole === time) return detached(parts);
  const rest = solvePiece(last.state as State, last.previous, cut(whole, time), y0.sliceAxis(1, whole, time));
  return detached({ y: concatenate([parts.y, rest.y], 1), stats: joined(parts.stats, rest.stats, inner) });
}

const detached = ({ y, stats }: Piece): Piece => ({ y: stopGradient(y), stats: detachStats(stats) });

/** Over pieces on axis 0. Statuses are in order of gravity. */
function summary({ status, iterations, residual, residuals }: SolveStats, { trace }: ParallelSolver): SolveStats {
  const most = (x: Tracer): Tracer => x.max({ axes: 0 });
  const stats = { status: most(status), iterations: most(iterations), residual: most(residual) };
  if (residuals === undefined) return stats;
  const inOrder = (x: Tracer): Tracer => x.transpose([1, 0, 2]).reshape([x.dim(1), -1]);
  return { ...stats, residuals: trace === "time" ? inOrder(residuals) : most(residuals) };
}

function joined(a: SolveStats, b: SolveStats, { trace }: ParallelSolver): SolveStats {
  const stats = {
    status: a.status.maximum(b.status),
    iterations: a.iterations.maximum(b.iterations),
    residual: a.residual.maximum(b.residual),
  };
  if (a.residuals === undefined || b.residuals === undefined) return stats;
  const both = trace === "time" ? concatenate([a.residuals, b.residuals], 1) : a.residuals.maximum(b.residuals);
  return { ...stats, residuals: both };
}
