/** The local maps of a causal problem along a given y, one step of time after the other. */
import { scan, stopGradient, type Tracer } from "@banach/autograd";
import type { Causal, CausalProblem } from "../problem.ts";

/** Numbers of one step, each [batch]. */
type PerStep<K extends string> = Readonly<Record<K, Tracer>>;

/** What is looked at: the local map at a step, y_t [batch, channel], and an upper bound on the map's slope if one is known. */
type Look<K extends string> = (local: (y: Tracer) => Tracer, here: Tracer, bound: Tracer | null) => PerStep<K>;

/** What `look` says of each step along y [batch, time, channel]: numbers [batch, time]. No gradient flows. */
export function overTime<Theta, K extends string>(
  problem: CausalProblem<Theta>,
  y: Tracer,
  theta: Theta,
  look: Look<K>,
): PerStep<K> {
  return problem.causal((causal) => walk(causal, y, theta, look));
}

function walk<Theta, Input, State, Context, K extends string>(
  causal: Causal<Theta, Input, State, Context>,
  y: Tracer,
  theta: Theta,
  look: Look<K>,
): PerStep<K> {
  const detached = stopGradient(theta) as Theta;
  const { inputs, state, previous } = causal.prepare(detached);
  const [, seen] = scan(
    (carry, xs) => {
      // State and Input are trees of tracers, so tracing leaves them as they are; the compiler cannot know.
      const [before, input] = [carry.state as State, xs.input as Input];
      const context = causal.at(input, before, carry.previous, detached);
      const bound = causal.bound?.(context) ?? null;
      const found = look((from) => causal.local(from, context), xs.here, bound);
      const { state: after } = causal.advance(before, xs.here, context);
      return [{ state: after, previous: xs.here }, found];
    },
    { state, previous },
    { input: inputs, here: stopGradient(y).transpose([1, 0, 2]) },
  );
  const numbers = seen as PerStep<K>;
  const entries = Object.entries<Tracer>(numbers).map(([name, x]) => [name, x.transpose([1, 0])] as const);
  return Object.fromEntries(entries) as PerStep<K>;
}
