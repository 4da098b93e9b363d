/** What steps take, roughly, by which it is decided whether to share them among threads. */
import { isKernel, type Kernel, type Step, workOf } from "@banach/autograd/backend";

/** Nanoseconds from which work is shared. */
export interface Grain {
  /** Of a kernel or a loop: a barrier takes about 0.3 us on an idle machine, and the slower thread is waited for. */
  readonly step: number;
  /** Of a program: waking threads that have gone to sleep takes up to 50 us. */
  readonly program: number;
}

export const defaultGrain: Grain = { step: 8_000, program: 100_000 };

/** Additions that the inner loop of a contraction makes in a nanosecond, and those of other kernels. */
const CONTRACT_RATE = 24;
const OTHER_RATE = 4;

/** Iterations that a while is expected to make. */
const WHILE_STEPS = 4;

function kernelTime(kernel: Kernel): number {
  return workOf(kernel) / (kernel.kind === "contract" ? CONTRACT_RATE : OTHER_RATE);
}

/** Nanoseconds that one thread takes, within a factor of a few. */
export function timeOf(step: Step): number {
  if (isKernel(step)) return kernelTime(step);
  const total = (steps: readonly Step[]): number => steps.reduce((sum, inner) => sum + timeOf(inner), 0);
  return step.kind === "for" ? step.length * total(step.body) : WHILE_STEPS * total([...step.test, ...step.body]);
}
