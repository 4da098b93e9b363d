/** The training step as one traced function: loss, gradient, clipping, update, and the refusal of meaningless updates. */
import {
  and,
  astype,
  concatenate,
  equal,
  isFinite,
  notEqual,
  optim,
  type Tracer,
  treeMap,
  where,
} from "@banach/autograd";
import { ADJOINT_STATUSES, type AdjointStats, valueGradAndAdjoint } from "@banach/fprnn";
import { countOf, lastRight, measure, type Measures, readMeasures, type TracedBatch } from "./measures.ts";
import type { Params, SequenceModel } from "./model.ts";

export interface StepOptions {
  readonly model: SequenceModel;
  readonly optimizer: optim.Optimizer;
  /** Largest global norm of the gradient; null leaves it as it is. */
  readonly clip: number | null;
}

export interface StepResult {
  readonly params: Params;
  readonly optimizer: unknown;
  /**
   * float32: the measures, then the gradient's norm before clipping, then 1 if the update was made and 0 if skipped, and 2
   * more for each sequence whose backward solve failed; then, of a batch that goes on, 1 for each sequence whose last label
   * was right.
   */
  readonly report: Tracer;
  /** The states after the batch, where it was given some. */
  readonly carried?: unknown;
}

/** What is read back of a step. */
export interface StepReport extends Measures {
  /** Before clipping. */
  readonly gradientNorm: number;
  /** A sequence diverged, or the loss or the gradient was not finite: parameters and optimiser state are as before. */
  readonly skipped: boolean;
  /**
   * Sequences with a layer whose backward solve did not meet its tolerance, and whose gradient is therefore none (NaN) or
   * another one, as the adjoint has it. 0 for adjoints that solve nothing.
   */
  readonly adjointFailed: number;
  /** Of a batch that goes on, per sequence whether its last label was right; else empty. */
  readonly right: readonly boolean[];
}

/** What a batch that goes on is given besides: the states of the last one, and bool[batch], where they do not count. */
export interface TracedCarried {
  readonly model: unknown;
  readonly restart: Tracer;
}

/** (params, optimizer state, batch, what is carried, depth): see `trainStep`. */
export type TracedStep = (
  params: Params,
  state: unknown,
  batch: TracedBatch,
  carried?: TracedCarried,
  depth?: Tracer,
) => StepResult;

/**
 * The step, to be jitted with the first two of its arguments donated. Where nothing is carried, sequences begin with the
 * batch; a depth int32[] limits the iterations of solvers.
 */
export function trainStep({ model: given, optimizer, clip }: StepOptions): TracedStep {
  return (params, state, batch, carried, depth) => {
    const model = depth === undefined ? given : (given.atDepth?.(depth) ?? given);
    const from = carried === undefined ? undefined : startOf(model, carried);
    const { value, grad, adjoint } = valueGradAndAdjoint((p: Params) => {
      const output = model.apply(p, batch.inputs, from);
      return {
        ...measure(output, batch),
        ...(carried === undefined ? {} : { after: output.state, right: lastRight(output, batch) }),
      };
    })(params);
    const { grads, norm } =
      clip === null ? { grads: grad, norm: optim.globalNorm(grad) } : optim.clipByGlobalNorm(grad, clip);
    const updated = optimizer.update<unknown>(grads, state as optim.OptimizerState<unknown>, params);
    // Inside a trace the norm is a tracer.
    const gradientNorm = norm as Tracer;
    // Of a sequence that ran away the gradient may well be finite, and lead anywhere.
    const meant = and(and(isFinite(value.loss), isFinite(gradientNorm)), equal(value.diverged, 0));
    const keep = (after: Tracer, _path: string, [before = after]: readonly Tracer[]): Tracer =>
      where(meant, after, before);
    const extra = [
      gradientNorm.reshape([1]),
      outcomeOf(meant, adjoint).reshape([1]),
      ...(value.right === undefined ? [] : [value.right]),
    ];
    return {
      params: treeMap(keep, updated.params, params),
      optimizer: treeMap(keep, updated.state as unknown, state),
      report: concatenate([value.vector, ...extra.map((x) => astype(x, "float32"))], 0),
      ...(carried === undefined ? {} : { carried: value.after }),
    };
  };
}

/** One number for both, so that adjoints which solve nothing add nothing to the program. */
function outcomeOf(meant: Tracer, adjoint: readonly AdjointStats[]): Tracer {
  if (adjoint.length === 0) return meant;
  const failed = countOf(adjoint, (status) => notEqual(status, ADJOINT_STATUSES.indexOf("converged")));
  return astype(meant, "int32").add(failed.mul(2));
}

/** The states that sequences start from, rows that begin anew at zero whatever is carried for them. */
function startOf(model: SequenceModel, { model: before, restart }: TracedCarried): unknown {
  const begin = model.initialState?.(restart.dim(0)) as Tracer;
  return treeMap(
    (start: Tracer, _path: string, [carried = start]: readonly Tracer[]): Tracer =>
      where(restart.reshape([restart.dim(0), ...start.shape.slice(1).map(() => 1)]), start, carried),
    begin,
    before,
  );
}

/** The numbers of a report that was read to the host. */
export function readReport(report: ArrayLike<number>): StepReport {
  const {
    measures,
    extra: [gradientNorm = Number.NaN, outcome = 0, ...right],
  } = readMeasures(report);
  const adjointFailed = Math.floor(outcome / 2);
  return {
    ...measures,
    gradientNorm,
    skipped: outcome % 2 === 0,
    adjointFailed,
    right: right.map((value) => value === 1),
  };
}
