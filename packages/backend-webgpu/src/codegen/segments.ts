/**
 * Bindings for temporaries: one each, or where there are too many, parts of slabs with several of them. What a dispatch
 * may write must not be bound twice, and temporaries of one slab that follow each other can share.
 */
import type { ProgramBuffer } from "@banach/autograd/backend";
import type { ArenaPlace } from "./layout.ts";

export interface Temporary {
  readonly buffer: ProgramBuffer;
  readonly place: ArenaPlace;
  /** The type of its elements. */
  readonly element: string;
  /** Whether it had better be an array of vectors. */
  readonly isVector: boolean;
}

export interface Segment {
  readonly place: ArenaPlace;
  readonly element: string;
  readonly isVector: boolean;
  /** In the order of their places. */
  readonly temporaries: readonly Temporary[];
}

/** At most `most` segments if there are no more slabs, with as few bytes as possible that are no vectors for their neighbours' sake. */
export function segmentsOf(temporaries: readonly Temporary[], most: number): readonly Segment[] {
  const sorted = [...temporaries].sort((a, b) => a.place.slab - b.place.slab || a.place.offset - b.place.offset);
  const segments = sorted.map((temporary): Segment => ({ ...temporary, temporaries: [temporary] }));
  while (segments.length > most) {
    let best = -1;
    let least = Infinity;
    segments.forEach((segment, i) => {
      const next = segments[i + 1];
      if (next === undefined || next.place.slab !== segment.place.slab) return;
      const cost = costOf(segment, next);
      if (cost < least) [best, least] = [i, cost];
    });
    const [first, second] = segments.slice(best, best + 2);
    if (best === -1 || first === undefined || second === undefined) break;
    segments.splice(best, 2, merged(first, second));
  }
  return segments;
}

/** Bytes that are no vectors any more; then, whether words are to be taken for what they are not. Halves would share words. */
function costOf(a: Segment, b: Segment): number {
  if (a.element !== b.element && (a.element === "f16" || b.element === "f16")) return Infinity;
  const lost = a.isVector === b.isVector ? 0 : a.isVector ? a.place.bytes : b.place.bytes;
  return 2 * lost + (a.element === b.element ? 0 : 1);
}

function merged(a: Segment, b: Segment): Segment {
  const { slab, offset } = a.place;
  const end = Math.max(offset + a.place.bytes, b.place.offset + b.place.bytes);
  return {
    place: { kind: "arena", slab, offset, bytes: end - offset },
    element: a.element === b.element ? a.element : "u32",
    isVector: a.isVector && b.isVector,
    temporaries: [...a.temporaries, ...b.temporaries],
  };
}
