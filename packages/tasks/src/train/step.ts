/** The training step as one traced function: loss, gradient, clipping, update, and the refusal of non-finite updates. */
import { and, astype, concatenate, isFinite, optim, type Tracer, treeMap, valueAndGrad, where } from "@banach/autograd";
import { measure, type Measures, readMeasures, type TracedBatch } from "./measures.ts";
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
  /** float32: the measures, then the gradient's norm before clipping, then 1 if the update was made and 0 if skipped. */
  readonly report: Tracer;
}

/** What is read back of a step. */
export interface StepReport extends Measures {
  /** Before clipping. */
  readonly gradientNorm: number;
  /** The loss or the gradient was not finite: parameters and optimiser state are as before. */
  readonly skipped: boolean;
}

/** (params, optimizer state, batch) -> StepResult, to be jitted with the first two donated. */
export function trainStep({
  model,
  optimizer,
  clip,
}: StepOptions): (params: Params, state: unknown, batch: TracedBatch) => StepResult {
  return (params, state, batch) => {
    const { value, grad } = valueAndGrad((p: Params) => {
      const { loss, vector } = measure(model.apply(p, batch.inputs), batch);
      return { loss, vector };
    })(params);
    const { grads, norm } =
      clip === null ? { grads: grad, norm: optim.globalNorm(grad) } : optim.clipByGlobalNorm(grad, clip);
    const updated = optimizer.update<unknown>(grads, state as optim.OptimizerState<unknown>, params);
    // Inside a trace the norm is a tracer.
    const gradientNorm = norm as Tracer;
    const finite = and(isFinite(value.loss), isFinite(gradientNorm));
    const keep = (after: Tracer, _path: string, [before = after]: readonly Tracer[]): Tracer =>
      where(finite, after, before);
    return {
      params: treeMap(keep, updated.params, params),
      optimizer: treeMap(keep, updated.state as unknown, state),
      report: concatenate([value.vector, ...[gradientNorm, finite].map((x) => astype(x, "float32").reshape([1]))], 0),
    };
  };
}

/** The numbers of a report that was read to the host. */
export function readReport(report: ArrayLike<number>): StepReport {
  const {
    measures,
    extra: [gradientNorm = Number.NaN, applied = 0],
  } = readMeasures(report);
  return { ...measures, gradientNorm, skipped: applied === 0 };
}
