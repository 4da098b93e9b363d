/** Adam with decoupled weight decay. */
import { ArgumentError } from "../errors.ts";
import type { DType } from "../ir/tensor-type.ts";
import { add, div, expm1, mul, neg, sqrt, square, sub } from "../ops/elementwise.ts";
import { literalTracer } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { mapLeaves, onePerDType, type Optimizer, optimizer } from "./optimizer.ts";
import { type LearningRate, toSchedule } from "./schedule.ts";

export interface AdamWOptions {
  readonly learningRate: LearningRate;
  /** Decay rates of the running means of the gradient and of its square, in [0, 1); default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly eps?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
  /** Whether the parameter at a path such as `layers.0.norm.weight` decays; default all do. */
  readonly decay?: (path: string) => boolean;
}

/**
 * p *= 1 - rate weightDecay, then p -= rate m / (sqrt(v) + eps), where m and v are the running means of g and g^2, each
 * divided by 1 - beta^t; slots `mean` and `variance`. I. Loshchilov and F. Hutter, "Decoupled weight decay
 * regularization" (2019). Throws ArgumentError for options outside their domains.
 */
export function adamw(options: AdamWOptions): Optimizer {
  const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01, decay = () => true } = options;
  requireDomain(betas, eps, weightDecay);
  const [beta1, beta2] = betas;
  return optimizer({
    slots: ["mean", "variance"],
    schedule: toSchedule(options.learningRate),
    apply({ grads, params, slot, rate, count }) {
      const mean = mapLeaves((m, g) => add(mul(m, beta1), mul(g, 1 - beta1)), slot("mean"), grads);
      const variance = mapLeaves((v, g) => add(mul(v, beta2), mul(square(g), 1 - beta2)), slot("variance"), grads);
      const bias1 = onePerDType((dtype) => correction(beta1, count(dtype), dtype));
      const bias2 = onePerDType((dtype) => correction(beta2, count(dtype), dtype));
      const kept = onePerDType((dtype) => sub(1, mul(rate(dtype), weightDecay)));
      const descend = (p: Tracer, m: Tracer, v: Tracer, path: string): Tracer => {
        const decayed = weightDecay > 0 && decay(path) ? mul(p, kept(p.dtype)) : p;
        const denominator = add(sqrt(div(v, bias2(p.dtype))), eps);
        return sub(decayed, mul(rate(p.dtype), div(div(m, bias1(p.dtype)), denominator)));
      };
      return { params: mapLeaves(descend, params, mean, variance), slots: { mean, variance } };
    },
  });
}

/** 1 - beta^t, without the cancellation that costs float32 half its digits at the first steps. */
function correction(beta: number, count: Tracer, dtype: DType): Tracer {
  return beta === 0 ? literalTracer(dtype, 1) : neg(expm1(mul(count, Math.log(beta))));
}

function requireDomain(betas: readonly [number, number], eps: number, weightDecay: number): void {
  if (!betas.every((beta) => beta >= 0 && beta < 1)) {
    throw new ArgumentError(`adamw: betas must be in [0, 1), got ${betas.join(" and ")}`);
  }
  if (!(eps > 0 && Number.isFinite(eps))) throw new ArgumentError(`adamw: eps must be positive and finite, got ${eps}`);
  if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) {
    throw new ArgumentError(`adamw: weightDecay must be finite and not negative, got ${weightDecay}`);
  }
}

/**
 * A `decay` for adamw: false for names that contain "bias" or "norm" in lower case, and for the state-space parameters A_log, D and
 * Dskip, which set scales; true for the rest, gains of weight-normalised layers included.
 */
export function decayAllButNorms(path: string): boolean {
  const name = path.slice(path.lastIndexOf(".") + 1);
  return !/bias|norm/.test(path) && !["A_log", "D", "Dskip"].includes(name);
}
