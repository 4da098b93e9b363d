/** Accelerated iteration that Picard's step stands behind: what Anderson and quasi-Newton share. */
import { full, stopGradient, type Tracer, treeMap, where, zeros } from "@banach/autograd";
import type { Problem } from "../problem.ts";
import { detachStats, relativeResidual, statusOf } from "../stats.ts";
import { iterateTo } from "./loop.ts";
import { largestChange, ranAway } from "./runaway.ts";
import type { Limits, Solved } from "./solver.ts";
import { finishTrace, record, startTrace, type TraceCarry, type TraceOption } from "./trace.ts";

/** Where to go from an iterate. Rows of the batch must not depend on each other. */
export interface Accelerator<Memory> {
  /** What is remembered before the first iteration, leaves [batch, ...]; a row that is set back starts from it again. */
  readonly start: (y0: Tracer) => Memory;
  /** From y and f(y) [batch, time, channel] to the next iterate, for the rows where there is a `usable` one. */
  readonly propose: (y: Tracer, image: Tracer, memory: Memory) => Proposal<Memory>;
}

export interface Proposal<Memory> {
  readonly next: Tracer;
  /** bool[batch]; elsewhere the plain step is made. */
  readonly usable: Tracer;
  readonly memory: Memory;
}

export interface SafeguardedOptions extends Limits {
  /** Weight of f(y) in the plain step. */
  readonly damping: number;
  readonly trace: TraceOption;
}

interface Carry<Memory> {
  readonly y: Tracer;
  /** bool[batch]: whether y was proposed, and may be rejected. */
  readonly proposed: Tracer;
  /** The plain step from the last accepted iterate, and the squared length of its residual there [batch]. */
  readonly plain: Tracer;
  readonly square: Tracer;
  /** Whether to accelerate, see `paced`. */
  readonly pace: Pace;
  /** What is returned, from the iterate of the smallest residual so far, and that residual [batch]. */
  readonly kept: Tracer;
  readonly best: Tracer;
  /** Of the iterate at hand, [batch]. */
  readonly residual: Tracer;
  /** Size of the first change [batch], and the rows given up on, bool[batch]. */
  readonly first: Tracer;
  readonly failed: Tracer;
  readonly memory: Memory;
  readonly trace?: TraceCarry;
}

/**
 * Iterates each sequence until its own residual is below `tol`. Where a proposed iterate has a longer residual f(y) - y
 * than the one it was proposed from, or is not finite, the sequence goes back to the plain step from there, and the memory
 * is emptied: an iteration is lost, and nothing else. Plain steps are never rejected, so a sequence of them is Picard's.
 *
 * The iterate that met `tol` is returned, and not the step from it: in relative residuals of single steps of time the map
 * need not contract, and the step could miss what the iterate has met. A sequence that met it nowhere returns the plain
 * step from its best iterate, with its own residual.
 */
export function iterateSafeguarded<Theta, Memory>(
  problem: Problem<Theta>,
  y0: Tracer,
  theta: Theta,
  accelerator: Accelerator<Memory>,
  options: SafeguardedOptions,
): Solved {
  const { tol, maxSteps } = options;
  const [shape, dtype] = [[y0.dim(0)], y0.dtype];
  const trace = startTrace(options.trace, y0, maxSteps);
  const init: Carry<Memory> = {
    y: y0,
    proposed: full(shape, false, "bool"),
    plain: y0,
    square: full(shape, Infinity, dtype),
    pace: {
      goal: full(shape, Infinity, dtype),
      left: full(shape, PATIENCE, "int32"),
      plain: full(shape, 0, "int32"),
      run: full(shape, PATIENCE, "int32"),
    },
    kept: y0,
    best: full(shape, Infinity, dtype),
    residual: full(shape, Infinity, dtype),
    first: zeros(shape, dtype),
    failed: full(shape, false, "bool"),
    memory: accelerator.start(y0),
    ...(trace === undefined ? {} : { trace }),
  };
  const { carry, steps } = iterateTo(
    ({ residual, failed }) => residual.greaterEqual(tol).and(failed.not()),
    // Memory is a tree of tracers, so tracing leaves it as it is; the compiler cannot know.
    (carried) => advance(problem, theta, accelerator, options, carried as Carry<Memory>),
    init,
    { ...options, rows: shape },
  );
  const y = stopGradient(carry.kept);
  // An adjoint that steps from here shares this map.
  const residual = relativeResidual(y, problem.step(y, theta)).max({ axes: 1 });
  const status = statusOf(residual, tol, carry.failed);
  const residuals = carry.trace === undefined ? {} : { residuals: finishTrace(carry.trace) };
  return { y, stats: detachStats({ status, iterations: steps, residual, ...residuals }) };
}

function advance<Theta, Memory>(
  problem: Problem<Theta>,
  theta: Theta,
  accelerator: Accelerator<Memory>,
  { tol, damping, trace }: SafeguardedOptions,
  before: Carry<Memory>,
): Carry<Memory> {
  const { y, proposed } = before;
  const image = problem.step(y, theta);
  const residuals = relativeResidual(y, image);
  const residual = residuals.max({ axes: 1 });
  const change = image.sub(y);
  const square = change.mul(change).sum({ axes: [1, 2] });
  const shorter = square.lessEqual(before.square).or(residual.less(tol));
  const rejected = proposed.and(shorter.not());
  const accepted = rejected.not();

  const largest = largestChange(y, image);
  const first = where(before.best.equal(Infinity), largest, before.first);
  const failed = accepted.and(residual.isFinite().not().or(ranAway(largest, first)));
  const plain = damping === 1 ? image : y.add(change.mul(damping));
  const { next, usable, memory } = accelerator.propose(y, image, before.memory);
  const pace = paced(before.pace, where(rejected, before.square, square));
  const proposes = accepted
    .and(usable)
    .and(pace.plain.equal(0))
    .and(next.isFinite().all({ axes: [1, 2] }));
  const improved = accepted.and(residual.less(before.best));
  const returned = chosen(residual.less(tol), y, plain);
  const start = accelerator.start(y);
  return {
    y: chosen(failed, y, chosen(rejected, before.plain, chosen(proposes, next, plain))),
    proposed: proposes,
    plain: chosen(rejected, before.plain, plain),
    square: where(rejected, before.square, square),
    pace,
    kept: chosen(improved.and(failed.not()), returned, before.kept),
    best: where(improved, residual, before.best),
    residual: where(rejected, Infinity, residual),
    first,
    failed,
    memory: treeMap(
      (fresh: Tracer, _path, [updated = fresh]) => chosen(rejected, fresh, updated),
      start,
      memory,
    ) as Memory,
    ...(trace === false || before.trace === undefined ? {} : { trace: record(before.trace, residuals) }),
  };
}

/**
 * Where acceleration no longer shortens the residual, plain steps take their turn: where information has to travel, they
 * get on although the residual does not show it. After PATIENCE iterations without the residual halving, a run of plain
 * steps is made, each run twice as long as the one before; so a sequence that Picard solves in k iterations from anywhere
 * is solved in a small multiple of k.
 */
interface Pace {
  /** Squared length of the residual that has to be reached, [batch], and the iterations left for it, int32[batch]. */
  readonly goal: Tracer;
  readonly left: Tracer;
  /** int32[batch]: plain steps still to make, and the length of the next run of them. */
  readonly plain: Tracer;
  readonly run: Tracer;
}

const PATIENCE = 10;

/** The pace after an iteration with a residual of a squared length. */
function paced({ goal, left, plain, run }: Pace, square: Tracer): Pace {
  const inRun = plain.greater(0);
  const reached = square.less(goal);
  const fresh = reached.or(plain.equal(1));
  const stalled = inRun.not().and(reached.not()).and(left.lessEqual(1));
  return {
    goal: where(fresh, square.mul(0.25), goal),
    left: where(fresh, PATIENCE, where(inRun, left, left.sub(1))).astype("int32"),
    plain: where(stalled, run, plain.sub(1).maximum(0)).astype("int32"),
    run: where(stalled, run.mul(2), run).astype("int32"),
  };
}

/** One of two tensors [batch, ...] per row. */
function chosen(rows: Tracer, onTrue: Tracer, onFalse: Tracer): Tracer {
  return where(rows.reshape([rows.dim(0), ...onTrue.shape.slice(1).map(() => 1)]), onTrue, onFalse);
}
