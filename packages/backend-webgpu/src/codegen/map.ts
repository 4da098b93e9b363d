/** Maps: one invocation per point, or per quad of neighbouring points. */
import {
  accessesOf,
  groupAxes,
  type MapKernel,
  mapAll,
  regroup,
  sizeOf,
  type Store,
  visitExpression,
} from "@banach/autograd/backend";
import { beforeLoop, PointWriter, splitIndex } from "./point-writer.ts";
import { inQuads, isCheap, isQuad, NO_QUADS, quadReads, type QuadUse, storeQuads } from "./quads.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";

interface MapPlan {
  readonly sizes: readonly number[];
  readonly stores: readonly Store[];
}

/** Axes merged where they can be. */
function planMap({ shape, stores }: MapKernel): MapPlan {
  const axes = shape.map((_, axis) => axis);
  const { sizes, access } = regroup(shape, groupAxes(shape, axes, accessesOf([], stores)));
  return { sizes, stores: mapAll([], stores, access).stores };
}

/** The quads that a map of a grid loads and stores. */
export function quadsOfMap(kernel: MapKernel, { tuning }: ShaderLimits): QuadUse {
  const { sizes, stores } = planMap(kernel);
  const last = sizes.length - 1;
  const suits =
    (sizes[last] ?? 1) % 4 === 0 &&
    sizeOf(sizes) / 4 >= tuning.busy &&
    stores.every(({ access }) => isQuad(access, last)) &&
    isCheap(stores);
  if (!suits) return NO_QUADS;
  return { loads: quadReads(stores, last), stores: new Set(stores.map(({ buffer }) => buffer)) };
}

/** Returns the workgroups needed. */
export function writeMap(w: ShaderWriter, kernel: MapKernel, scope: Scope): number {
  const { sizes, stores } = planMap(kernel);
  const columns = sizes.at(-1) ?? 1;
  if (scope === "workgroup" && sizes.length > 1 && columns >= w.limits.invocations && !overwrites(stores)) {
    writeRows(w, sizes, stores);
    return 1;
  }
  if (stores.some(({ buffer }) => w.isVector(buffer))) {
    return eachPoint(w, scope, sizeOf(sizes) / 4, (index) => {
      const names = splitIndex(w, index, inQuads(sizes));
      storeQuads(w, stores, names.slice(0, -1), names.at(-1) ?? "0u");
    });
  }
  return eachPoint(w, scope, sizeOf(sizes), (index) => {
    new PointWriter(w, splitIndex(w, index, sizes)).storeAll(stores);
  });
}

/** Row after row, with the invocations side by side in each: what a row has in common is computed once. */
function writeRows(w: ShaderWriter, sizes: readonly number[], stores: readonly Store[]): void {
  const rows = sizes.slice(0, -1);
  const row = w.fresh("row");
  w.block(`for (var ${row} = 0u; ${row} < ${sizeOf(rows)}u; ${row}++)`, () => {
    const outer = splitIndex(w, row, rows);
    const values = stores.map(({ value }) => value);
    const before = beforeLoop(w, values, [...outer, "0u"], new Set([rows.length]));
    eachPoint(w, "workgroup", sizes.at(-1) ?? 1, (column) => {
      new PointWriter(w, [...outer, column], { before }).storeAll(stores);
    });
  });
}

/** Whether something is stored that all of a row reads: it may not be read ahead of time. */
function overwrites(stores: readonly Store[]): boolean {
  const stored = new Set(stores.map(({ buffer }) => buffer));
  let found = false;
  for (const { value } of stores) {
    visitExpression(value, (node) => {
      if (node.kind === "read" || node.kind === "gather") {
        found ||= stored.has(node.buffer) && (node.kind === "gather" || node.access.strides.at(-1) === 0);
      }
    });
  }
  return found;
}
