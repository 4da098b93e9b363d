/**
 * Chains by blocks of rows. Neighbouring kernels that work row by row, on more memory than a cache holds, are run to the
 * last one for a few rows after another: what one leaves is still in the first cache when the next one reads it, and
 * temporaries shrink to the rows of a block. Rows are axis 0 of every kernel.
 */
import { byteLengthOf } from "../ir/tensor-type.ts";
import type { LoopCounter } from "./access.ts";
import { type ProgramBuffer, visitExpression } from "./expression.ts";
import {
  expressionsOf,
  isKernel,
  type Kernel,
  type MapKernel,
  type Program,
  readBy,
  type RecurKernel,
  type ReduceKernel,
  type Step,
  visitSteps,
  writtenBy,
} from "./program.ts";
import { inBlock, type Rows, rowsOf, sameRows } from "./row-blocks.ts";

export interface ChainLimits {
  /** Bytes that a chain touches at least: what stays in the second cache gains a twentieth. */
  readonly chain: number;
  /** Bytes that a block touches at least: calls cost, too. */
  readonly least: number;
  /** Bytes that a block touches at most: of more, the first cache drops a part before it is read again. */
  readonly most: number;
  /** A single row may have as much, where the chain is larger than all caches. */
  readonly row: number;
  readonly large: number;
  /** Blocks at least, which threads share. */
  readonly blocks: number;
}

/**
 * On a Zen 4 core layer norm of 8192 rows of 1 KiB takes 1.00 ms without blocks. With blocks of 2 to 4 rows, which are read
 * and written, it takes 0.78 ms, of 8 rows 0.83, of 16 rows 1.01 and of 64 rows 1.2: more than without.
 */
const LIMITS: ChainLimits = { chain: 2 ** 22, least: 2 ** 11, most: 2 ** 14, row: 2 ** 22, large: 2 ** 25, blocks: 16 };

type RowKernel = MapKernel | ReduceKernel | RecurKernel;

interface Chain {
  readonly rows: number;
  readonly kernels: readonly RowKernel[];
  /** Null where kernels disagree, or one goes beyond its row: nobody in the chain writes there. */
  readonly buffers: ReadonlyMap<ProgramBuffer, Rows | null>;
}

export function chainRows(program: Program, limits: ChainLimits = LIMITS): Program {
  const uses = usesOf(program);
  const shrunk = new Map<ProgramBuffer, ProgramBuffer>();
  const blocked = (chain: Chain, counter: LoopCounter): readonly Step[] => {
    const size = blockSize(chain, limits);
    if (size === null) return chain.kernels;
    const locals = localsOf(chain, size, uses);
    for (const [buffer, small] of locals) shrunk.set(buffer, small);
    const body = chain.kernels.map((kernel) => inBlock(kernel, { counter, size, shrunk: locals }));
    return [{ kind: "for", counter, length: chain.rows / size, reverse: false, body, locals: [...locals.values()] }];
  };
  const steps: Step[] = [];
  let chain: Chain | null = null;
  const end = (): void => {
    if (chain !== null) steps.push(...blocked(chain, { name: `rows${steps.length}` }));
    chain = null;
  };
  for (const step of program.steps) {
    const longer = extended(chain, step);
    if (longer === null) end();
    chain = longer ?? extended(null, step);
    if (chain === null) steps.push(step);
  }
  end();
  return { ...program, steps, temporaries: program.temporaries.map((buffer) => shrunk.get(buffer) ?? buffer) };
}

/** Number of steps that touch each temporary. */
function usesOf(program: Program): ReadonlyMap<ProgramBuffer, number> {
  const uses = new Map(program.temporaries.map((buffer) => [buffer, 0]));
  visitSteps(program.steps, (step) => {
    const touched = isKernel(step) ? touchedBy(step) : step.kind === "while" ? [step.flag, step.steps] : [];
    for (const buffer of touched) {
      const known = uses.get(buffer);
      if (known !== undefined) uses.set(buffer, known + 1);
    }
  });
  return uses;
}

const touchedBy = (kernel: Kernel): ReadonlySet<ProgramBuffer> => new Set([...readBy(kernel), ...writtenBy(kernel)]);

/** Number of kernels of a chain that touch each buffer. */
function usesIn({ kernels }: Chain): ReadonlyMap<ProgramBuffer, number> {
  const uses = new Map<ProgramBuffer, number>();
  for (const kernel of kernels) for (const buffer of touchedBy(kernel)) uses.set(buffer, (uses.get(buffer) ?? 0) + 1);
  return uses;
}

/** The chain with one more kernel, or null if that does not work on the same rows. */
function extended(chain: Chain | null, step: Step): Chain | null {
  if (step.kind !== "map" && step.kind !== "reduce" && step.kind !== "recur") return null;
  const [rows] = step.shape;
  if (rows === undefined || (chain !== null && rows !== chain.rows)) return null;
  if (step.kind === "recur" && step.axis === 0) return null;
  const buffers = new Map(chain?.buffers);
  const see = (buffer: ProgramBuffer, found: Rows | null): void => {
    const known = buffers.get(buffer);
    buffers.set(buffer, known === undefined || sameRows(known, found) ? found : null);
  };
  const space = step.kind === "reduce" ? [...step.shape, ...step.reduced] : step.shape;
  for (const root of expressionsOf(step)) {
    visitExpression(root, (node) => {
      if (node.kind === "read") see(node.buffer, rowsOf(node.access, space));
      if (node.kind === "gather") see(node.buffer, null);
    });
  }
  for (const { buffer, access } of step.stores) see(buffer, rowsOf(access, space));
  const kernels = [...(chain?.kernels ?? []), step];
  const written = kernels.flatMap(writtenBy);
  return written.every((buffer) => buffers.get(buffer) !== null) ? { rows, kernels, buffers } : null;
}

/** Rows of a block, or null if blocks are not worth it. */
function blockSize(chain: Chain, limits: ChainLimits): number | null {
  const uses = usesIn(chain);
  let rowBytes = 0;
  let shared = false;
  for (const [buffer, rows] of chain.buffers) {
    if (rows === null) continue;
    rowBytes += byteLengthOf({ dtype: buffer.dtype, shape: [rows.stride] });
    shared ||= (uses.get(buffer) ?? 0) > 1;
  }
  const bytes = chain.rows * rowBytes;
  if (!shared || bytes < limits.chain || rowBytes > (bytes < limits.large ? limits.most : limits.row)) return null;
  const size = largestDivisor(chain.rows, Math.max(1, Math.floor(limits.most / rowBytes)));
  return size * rowBytes < limits.least || chain.rows / size < limits.blocks ? null : size;
}

/** Temporaries that nothing outside the chain touches, and what is left of them. */
function localsOf(
  chain: Chain,
  size: number,
  uses: ReadonlyMap<ProgramBuffer, number>,
): ReadonlyMap<ProgramBuffer, ProgramBuffer> {
  const inside = usesIn(chain);
  const locals = new Map<ProgramBuffer, ProgramBuffer>();
  for (const [buffer, rows] of chain.buffers) {
    if (rows === null || uses.get(buffer) !== inside.get(buffer)) continue;
    if (buffer.size === chain.rows * rows.stride) locals.set(buffer, { ...buffer, size: size * rows.stride });
  }
  return locals;
}

function largestDivisor(value: number, most: number): number {
  for (let divisor = Math.min(value, most); divisor > 1; divisor--) if (value % divisor === 0) return divisor;
  return 1;
}
