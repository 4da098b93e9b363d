/** What one run binds: the memory of its places, and bind groups that earlier runs with the same memory have made. */
import type { Allocation } from "./memory.ts";
import type { BoundPlace, Dispatch, ReadyProgram } from "./ready.ts";

/** Combinations of memory that a program remembers, and bind groups that each dispatch does. */
const REMEMBERED = 8;

/** The memory of one run: of inputs, outputs and slabs, one after the other. */
export interface Bound {
  /** Null for a slab that the program does not use. */
  readonly allocations: readonly (Allocation | null)[];
  /** Where those begin. */
  readonly outputs: number;
  readonly slabs: number;
}

/** All bind groups of a program for one combination of memory. */
export interface BoundGroups {
  /** Of the allocations, -1 for none. */
  readonly ids: readonly number[];
  /** By the number of the dispatch; null until it is first encoded. */
  readonly groups: (GPUBindGroup | null)[];
}

/** A bind group, and the ids of the allocations that it binds. */
export interface BoundGroup {
  readonly ids: readonly number[];
  readonly group: GPUBindGroup;
}

export class Bindings {
  /** By the number of the dispatch; null until `groupOf` is asked. That the memory is the same was found once for all. */
  readonly groups: readonly (GPUBindGroup | null)[];
  private readonly device: GPUDevice;
  private readonly bound: Bound;
  private readonly known: BoundGroups;

  constructor(device: GPUDevice, program: ReadyProgram, bound: Bound) {
    this.device = device;
    this.bound = bound;
    this.known = groupsFor(program, bound);
    this.groups = this.known.groups;
  }

  groupOf(dispatch: Dispatch): GPUBindGroup {
    return (this.known.groups[dispatch.number] ??= this.find(dispatch));
  }

  resourceOf(place: BoundPlace): GPUBufferBinding {
    if (place.kind === "fixed") return { buffer: place.buffer };
    const { gpu } = this.allocationOf(place);
    return place.kind === "arena" ? { buffer: gpu, offset: place.offset, size: place.bytes } : { buffer: gpu };
  }

  /** What a run with other memory has made may fit all the same: most dispatches bind little of it. */
  private find({ places, groups, pipeline, label }: Dispatch): GPUBindGroup {
    // Memory of the executable's own is always the same.
    const ids = places.map((place) => (place.kind === "fixed" ? -1 : this.allocationOf(place).id));
    const known = recall(groups, ids);
    if (known !== undefined) return known.group;
    const entries = places.map((place, binding) => ({ binding, resource: this.resourceOf(place) }));
    const group = this.device.createBindGroup({ layout: pipeline.bindings, entries, label });
    remember(groups, { ids, group });
    return group;
  }

  private allocationOf(place: Exclude<BoundPlace, { readonly kind: "fixed" }>): Allocation {
    const { allocations, outputs, slabs } = this.bound;
    const found =
      allocations[
        place.kind === "input" ? place.index : place.kind === "output" ? outputs + place.index : slabs + place.slab
      ];
    if (found === undefined || found === null) throw new RangeError("a program binds a buffer that it does not have");
    return found;
  }
}

function groupsFor({ bound, dispatches }: ReadyProgram, { allocations }: Bound): BoundGroups {
  const ids = allocations.map((allocation) => allocation?.id ?? -1);
  const known = recall(bound, ids);
  if (known !== undefined) return known;
  const made = { ids, groups: dispatches.map(() => null) };
  remember(bound, made);
  return made;
}

interface Identified {
  readonly ids: readonly number[];
}

/** What has these ids, which comes first from then on. */
function recall<T extends Identified>(known: T[], ids: readonly number[]): T | undefined {
  const at = known.findIndex((candidate) => isSame(candidate.ids, ids));
  if (at > 0) known.unshift(...known.splice(at, 1));
  return at < 0 ? undefined : known[0];
}

/** Puts it first, in the place of what was not asked for the longest. */
function remember<T extends Identified>(known: T[], made: T): void {
  known.length = Math.min(known.length, REMEMBERED - 1);
  known.unshift(made);
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
