/** The axes of a contraction, merged where they can be, in their four kinds. */
import {
  accessesOf,
  type ContractKernel,
  groupAxes,
  mapAll,
  type Read,
  regroup,
  sizeOf,
  type Store,
} from "@banach/autograd/backend";

export type AxisKind = "batch" | "m" | "n" | "k";

/** An index along each axis of each kind. */
type Indices = Readonly<Record<AxisKind, readonly string[]>>;

/** In the order of accesses. */
export const order = ({ batch, m, n, k }: Indices): readonly string[] => [...batch, ...m, ...n, ...k];

/** Index 0 along the axes of a kind. */
export const none = (plan: ContractPlan, kind: AxisKind): readonly string[] => plan.axes[kind].map(() => "0u");

export interface ContractPlan {
  /** Sizes of the axes of each kind; all accesses run over them in the order batch, m, n, k, stores over the first three. */
  readonly axes: Readonly<Record<AxisKind, readonly number[]>>;
  /** Products of the sizes. */
  readonly size: Readonly<Record<AxisKind, number>>;
  readonly left: Read;
  readonly right: Read;
  readonly stores: readonly Store[];
}

/** The number of the last axis of a kind, among all. */
export function lastOf({ axes }: ContractPlan, kind: AxisKind): number {
  const kinds = ["batch", "m", "n", "k"] as const;
  return kinds.slice(0, kinds.indexOf(kind) + 1).reduce((sum, each) => sum + axes[each].length, 0) - 1;
}

export function planContract({ axes, shape, k, left, right, stores }: ContractKernel): ContractPlan {
  const all = [...shape, ...k];
  const firstM = axes.batch;
  const firstN = firstM + axes.m;
  const kinds = { batch: [0, firstM], m: [firstM, firstN], n: [firstN, shape.length], k: [shape.length, all.length] };
  const onPoints = accessesOf([left, right], stores);
  const onTerms = accessesOf([left, right], []);
  const range = ([from = 0, to = 0]: readonly number[]): number[] =>
    Array.from({ length: to - from }, (_, i) => from + i);
  const groups = {
    batch: groupAxes(all, range(kinds.batch), onPoints),
    m: groupAxes(all, range(kinds.m), onPoints),
    n: groupAxes(all, range(kinds.n), onPoints),
    k: groupAxes(all, range(kinds.k), onTerms),
  };
  const { sizes, access } = regroup(all, [...groups.batch, ...groups.m, ...groups.n, ...groups.k]);
  const moved = mapAll([left, right], stores, access);
  let next = 0;
  const take = (kind: AxisKind): readonly number[] => sizes.slice(next, (next += groups[kind].length));
  const sized = { batch: take("batch"), m: take("m"), n: take("n"), k: take("k") };
  const [movedLeft = left, movedRight = right] = moved.expressions;
  return {
    axes: sized,
    size: { batch: sizeOf(sized.batch), m: sizeOf(sized.m), n: sizeOf(sized.n), k: sizeOf(sized.k) },
    left: movedLeft as Read,
    right: movedRight as Read,
    stores: moved.stores,
  };
}
