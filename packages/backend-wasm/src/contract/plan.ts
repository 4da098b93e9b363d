/** Which loops a contraction becomes, from its sizes and strides alone: results never depend on the machine or the run. */
import { singleStride } from "./axes.ts";
import type { Contraction, Operand } from "./contraction.ts";
import { elementBytes } from "./contraction.ts";

/** Tiles of `rows` x 4 `vectors` results in registers, over blocks that fit the caches. */
export interface TilePlan {
  readonly kind: "tiles";
  readonly tile: { readonly rows: number; readonly vectors: number };
  /** Indices of a block; all of them where one block is enough. */
  readonly block: { readonly m: number; readonly n: number; readonly k: number };
  /** Which operands are packed; the others are read in place. */
  readonly pack: { readonly left: boolean; readonly right: boolean };
  /** Whether sums pass through a panel in memory before the host gets them. */
  readonly panel: boolean;
}

export type ContractPlan = TilePlan | { readonly kind: "dot" } | { readonly kind: "scalar" };

export interface PlanContext {
  /** Whether the host can store 4 neighbours in n at once. */
  readonly vectors: boolean;
  /** What the host does to a result before it stores it, in additions. */
  readonly epilogueCost: number;
}

/** A strip of the right operand (512 x 8 floats, 16 KiB) and one of the left (8 KiB) share the first-level cache. */
const maxBlockK = 512;
/** A packed block of the left operand (128 x 512 floats, 256 KiB) stays in the second-level cache. */
const maxBlockM = 128;
/** A packed block of the right operand (512 x 256 floats, 512 KiB) too, next to the panel of sums. */
const maxBlockN = 256;

/** The smallest first-level data cache of the machines of the last ten years. */
const firstLevelBytes = 32_768;

/** Up to here the code of an epilogue is copied to each vector of a tile rather than run over a panel. */
const maxInlineCost = 8;

/** 8 accumulators in registers, which hide the 4 cycles of an addition; 4 x 8 results load the fewest operands for that. */
function tileFor({ m, n }: Contraction): TilePlan["tile"] {
  const vectors = Math.ceil(n / 4);
  if (m === 1) return { rows: 1, vectors: Math.min(8, vectors) };
  if (m === 2) return { rows: 2, vectors: Math.min(4, vectors) };
  if (m === 3) return { rows: 3, vectors: Math.min(2, vectors) };
  return vectors === 1 ? { rows: Math.min(8, m), vectors } : { rows: 4, vectors: 2 };
}

/** Blocks of nearly the same size, whole steps each: 1088 in blocks of up to 512 is 2 x 364 + 360. */
function evenBlock(size: number, max: number, step: number): number {
  if (size <= max) return size;
  const count = Math.ceil(size / max);
  return Math.ceil(size / count / step) * step;
}

/** Whether lines of the operand and steps of k are each at one distance. */
const isRegular = ({ free, k }: Operand): boolean => singleStride(free) !== undefined && singleStride(k) !== undefined;

const isAlongK = (operand: Operand): boolean => isRegular(operand) && singleStride(operand.k) === elementBytes;

/** Results that dot products are made for at a time. */
export const DOT_TILE = { rows: 2, columns: 4 } as const;

/** The group that threads share among them, in parts of whole units. */
export interface Division {
  readonly group: "batch" | "m" | "n";
  readonly unit: number;
  readonly units: number;
}

/**
 * How threads share a contraction, or null where there is too little for each to have some. Sums are not divided, so
 * results do not depend on the number of threads. Rows and columns are cut between tiles; where an operand is packed,
 * every thread packs all of the smaller one for itself.
 */
export function divisionOf(c: Contraction, plan: ContractPlan, threads: number): Division | null {
  const of = (group: Division["group"], unit: number): Division => ({ group, unit, units: Math.ceil(c[group] / unit) });
  const tile = tileOf(plan);
  const batch = of("batch", 1);
  if (batch.units >= 4 * threads) return batch;
  const candidates = [of("m", tile.rows), of("n", tile.columns), batch];
  const best = candidates.reduce((most, division) => (division.units > most.units ? division : most));
  return best.units >= threads ? best : null;
}

function tileOf(plan: ContractPlan): { readonly rows: number; readonly columns: number } {
  switch (plan.kind) {
    case "tiles":
      return { rows: plan.tile.rows, columns: 4 * plan.tile.vectors };
    case "dot":
      return DOT_TILE;
    case "scalar":
      return { rows: 1, columns: 1 };
    default:
      return plan satisfies never;
  }
}

export function planOf(c: Contraction, { vectors, epilogueCost }: PlanContext): ContractPlan {
  if (c.dtype === "integer") return { kind: "scalar" };
  if (c.k >= 4 && c.m <= 8 && isAlongK(c.left) && isAlongK(c.right)) return { kind: "dot" };
  return tilePlan(c, packingOf(c), !vectors || epilogueCost > maxInlineCost);
}

/** Columns for which each element of the left operand is used, from which copying it first costs less than it saves. */
const packedLeftColumns = 96;

/** Packing pays where what is copied is used often and does not fit the first-level cache, or cannot be read in place. */
export function packingOf(c: Contraction): TilePlan["pack"] {
  const inPlace = c.k === 0 || (isRegular(c.right) && (singleStride(c.right.free) === elementBytes || c.n === 1));
  const large = (c.m + c.n) * c.k * elementBytes > firstLevelBytes;
  return {
    left: c.k > 0 && (!isRegular(c.left) || (large && c.n > packedLeftColumns && c.m > 8)),
    right: !inPlace || (large && c.m > 32 && c.n > 8),
  };
}

/** Whole sizes where nothing is packed and no panel is kept, as blocks would only get in the way. */
export function tilePlan(c: Contraction, pack: TilePlan["pack"], panel: boolean): TilePlan {
  const tile = tileFor(c);
  const packs = pack.left || pack.right;
  const block = {
    m: evenBlock(c.m, maxBlockM, tile.rows),
    n: evenBlock(c.n, maxBlockN, 4 * tile.vectors),
    k: packs ? evenBlock(c.k, maxBlockK, 4) : c.k,
  };
  return { kind: "tiles", tile, pack, block, panel: panel || c.k > block.k };
}
