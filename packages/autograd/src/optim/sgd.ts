/** Gradient descent, plain or with momentum. */
import { ArgumentError } from "../errors.ts";
import { add, mul, sub } from "../ops/elementwise.ts";
import { mapLeaves, type Optimizer, optimizer } from "./optimizer.ts";
import { type LearningRate, toSchedule } from "./schedule.ts";

export interface SgdOptions {
  readonly learningRate: LearningRate;
  /** In [0, 1); default 0, which keeps no slot. */
  readonly momentum?: number;
}

/** v = momentum v + g, p -= rate v; slot `velocity`. Throws ArgumentError for options outside their domains. */
export function sgd(options: SgdOptions): Optimizer {
  const { momentum = 0 } = options;
  if (!(momentum >= 0 && momentum < 1)) throw new ArgumentError(`sgd: momentum must be in [0, 1), got ${momentum}`);
  return optimizer({
    slots: momentum === 0 ? [] : ["velocity"],
    schedule: toSchedule(options.learningRate),
    apply({ grads, params, slot, rate }) {
      const velocity = momentum === 0 ? grads : mapLeaves((v, g) => add(mul(v, momentum), g), slot("velocity"), grads);
      return {
        params: mapLeaves((p, v) => sub(p, mul(v, rate(p.dtype))), params, velocity),
        slots: momentum === 0 ? {} : { velocity },
      };
    },
  });
}
