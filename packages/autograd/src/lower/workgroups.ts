/**
 * A schedule for machines that run many workgroups at once. Loops whose rows do not depend on each other become one step,
 * in which a workgroup each takes a few rows to the end: a while stops for these rows as soon as they have, and nobody
 * waits for anybody. Chains of kernels over the same rows become one step, too.
 */
import { sizeOf } from "../ir/tensor-type.ts";
import { type ChainLimits, chainRows } from "./chains.ts";
import type { Schedule } from "./lower.ts";
import type { Kernel } from "./program.ts";
import { blockRows } from "./rows.ts";

/** Points of a kernel per block of rows, from which a workgroup has enough to do. */
const POINTS = 64;

/** Rows of a block at most: beyond, other workgroups could be doing them. */
const MOST_ROWS = 8;

/** Bytes of a chain's block that workgroup memory and the nearest cache hold; blocks that fill a device. */
const CHAINS: ChainLimits = { chain: 0, least: 0, most: 2 ** 14, row: 2 ** 14, large: Infinity, blocks: 32 };

export const forWorkgroups: Schedule = (program) =>
  chainRows(blockRows(program, { size: rowsOf, whiles: true }), CHAINS);

/** The fewest rows that keep a workgroup busy. */
function rowsOf(rows: number, kernels: readonly Kernel[]): number {
  const points = Math.max(...kernels.map(({ shape }) => sizeOf(shape.slice(1))));
  let size = 1;
  for (let next = 2; next <= Math.min(MOST_ROWS, rows) && size * points < POINTS; next++) {
    if (rows % next === 0) size = next;
  }
  return size;
}
