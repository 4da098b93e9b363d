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

export interface WorkgroupLimits {
  /** Points of the widest kernel in a block of rows, from which a workgroup has enough to do. */
  readonly points: number;
  /** Rows of a block at most. */
  readonly rows: number;
  /** Blocks that a loop is divided into at least, if it has as many rows: they run at once. */
  readonly blocks: number;
}

/** Hundreds of workgroups run at once, and each hides what another waits for: few rows for each. */
export const MANY_WORKGROUPS: WorkgroupLimits = { points: 64, rows: 8, blocks: 1 };

/** A few cores run them: weights are read once for a block of rows, so that more rows are less to read. */
export const FEW_WORKGROUPS: WorkgroupLimits = { points: Infinity, rows: 8, blocks: 8 };

/** Bytes of a chain's block that workgroup memory and the nearest cache hold; blocks that fill a device. */
const CHAINS: ChainLimits = { chain: 0, least: 0, most: 2 ** 14, row: 2 ** 14, large: Infinity, blocks: 32 };

export function forWorkgroups(limits: WorkgroupLimits = MANY_WORKGROUPS): Schedule {
  return (program) =>
    chainRows(blockRows(program, { size: (rows, kernels) => rowsOf(rows, kernels, limits), whiles: true }), CHAINS);
}

/** The fewest rows that keep a workgroup busy. */
function rowsOf(rows: number, kernels: readonly Kernel[], limits: WorkgroupLimits): number {
  const points = Math.max(...kernels.map(({ shape }) => sizeOf(shape.slice(1))));
  const most = Math.min(limits.rows, Math.floor(rows / limits.blocks));
  let size = 1;
  for (let next = 2; next <= most && size * points < limits.points; next++) if (rows % next === 0) size = next;
  return size;
}
