/** Whether our train step and PyTorch's are the same function, told in rows of the report. */
import { type HostTensor, jit, type MapTree, nn, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import { picard, truncated } from "@banach/fprnn";
import { authorsRule, modelOf, type Params, prepared } from "./fp-mamba.ts";
import type { Checked, PyTorch } from "./pytorch.ts";
import type { Own } from "./race.ts";
import type { WorkOf } from "./work.ts";

/** Of the largest element: in float32, sums in other orders differ. */
const tolerance = 1e-3;

/**
 * Rows for the logits and the gradient of the loss, at the work's parameters and words: the largest difference between
 * PyTorch's and ours, relative to the largest element (of each parameter's gradient). Fails if one is above 1e-3. Both
 * sweep as often as information needs to get through the words, so that no rounding decides when to stop.
 */
export function agreement(work: WorkOf<"fp-mamba">, pytorch: PyTorch): readonly Own[] {
  let known: Promise<Differences> | undefined;
  const row = (name: string, of: (differences: Differences) => number): Own => ({
    name: `${name}: PyTorch's difference from ours`,
    unit: "relative",
    samples: async () => {
      known ??= differences(work, pytorch);
      const found = of(await known);
      if (!(found <= tolerance))
        throw new Error(`${name}: PyTorch differs from ours by ${found} of the largest element`);
      return [found];
    },
  });
  return [row("A5 logits", ({ logits }) => logits), row("A5 gradient", ({ gradient }) => gradient)];
}

interface Differences {
  readonly logits: number;
  readonly gradient: number;
}

async function differences(work: WorkOf<"fp-mamba">, pytorch: PyTorch): Promise<Differences> {
  const sweeps = work.time + 3;
  const theirs = await pytorch.check(work, sweeps);
  const own = await ours(work, sweeps);
  const byParameter = [...own.gradient].map(([name, value]) => difference(value, theirs.gradient.get(name)));
  return { logits: difference(own.logits, theirs.logits), gradient: Math.max(...byParameter) };
}

async function ours(work: WorkOf<"fp-mamba">, sweeps: number): Promise<Checked> {
  const { plan, task, state, words } = await prepared(work);
  const solver = picard({ ...authorsRule, tol: 0, maxSteps: sweeps });
  const model = modelOf(plan, task.vocabulary, { solver, adjoint: truncated() });
  await using device = await wasm({ threads: 1 });
  const f = jit(
    (params: Params, ids: Tracer, targets: Tracer, mask: Tracer) =>
      valueAndGrad((p: Params) => {
        const { logits } = model.apply(p, ids);
        return { loss: nn.softmaxCrossEntropy(logits, targets, { mask }), logits };
      })(params),
    { device, label: "agreement" },
  );
  const params = state.params as MapTree<Params, Tracer, HostTensor>;
  const { value, grad } = await device.get(await f(params, words.inputs, words.targets, words.mask));
  const gradient = treeLeaves<HostTensor>(grad as never).map(({ path, leaf }) => [path, numbers(leaf)] as const);
  return { logits: numbers(value.logits), gradient: new Map(gradient) };
}

const numbers = ({ data }: HostTensor): Float32Array => Float32Array.from(data);

/** Infinite unless they are as many, and NaN if a number is. */
function difference(ours: Float32Array, theirs: Float32Array = new Float32Array()): number {
  if (ours.length !== theirs.length) return Infinity;
  const largest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
  const apart = Array.from(ours, (x, i) => Math.abs(x - (theirs[i] ?? Number.NaN)));
  return largest(apart) / largest(Array.from(ours, Math.abs));
}
