/** Copies of a body in one round of a loop. */
import { costOf, type Expression } from "@banach/autograd/backend";

const COPIES = 4;

/** Cheaper bodies gain: moving the pointers and V8's look for interrupts are a good part of a round. */
const CHEAP = 8;

/** Whether a body that computes `expressions` takes few instructions and few registers. */
export function isCheap(expressions: readonly Expression[]): boolean {
  return expressions.reduce((sum, expression) => sum + costOf(expression), 0) <= CHEAP;
}

/** How many copies a loop over the vectors of a row gets. */
export function copiesFor(expressions: readonly Expression[], vectors: number): number {
  return isCheap(expressions) && vectors >= 2 * COPIES ? COPIES : 1;
}
