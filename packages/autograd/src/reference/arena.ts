/** Places for temporaries in one block of memory, found before anything runs: first fit among the live ones. */
import type { DType, HostArray } from "../ir/tensor-type.ts";

/** Every typed array may start at a multiple of this. */
const ALIGNMENT = 8;

export interface Place {
  readonly offset: number;
  readonly bytes: number;
}

export class ArenaPlan {
  private readonly live: Place[] = [];
  private size = 0;

  /** Bytes that hold everything reserved so far. */
  get bytes(): number {
    return this.size;
  }

  reserve(bytes: number): Place {
    const aligned = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    let offset = 0;
    let at = 0;
    for (const place of this.live) {
      if (place.offset - offset >= aligned) break;
      offset = place.offset + place.bytes;
      at++;
    }
    const place = { offset, bytes: aligned };
    this.live.splice(at, 0, place);
    this.size = Math.max(this.size, offset + aligned);
    return place;
  }

  release(place: Place): void {
    this.live.splice(this.live.indexOf(place), 1);
  }
}

/** Bytes that a host array of this type takes; a float16 is stored as float32. */
export function hostBytes(dtype: DType, size: number): number {
  return size * (dtype === "bool" ? 1 : dtype === "float64" ? 8 : 4);
}

/** A typed array over part of an arena. */
export function viewOf(arena: Uint8Array, { offset }: Place, dtype: DType, size: number): HostArray {
  const start = arena.byteOffset + offset;
  switch (dtype) {
    case "float64":
      return new Float64Array(arena.buffer, start, size);
    case "float32":
    case "float16":
      return new Float32Array(arena.buffer, start, size);
    case "int32":
      return new Int32Array(arena.buffer, start, size);
    case "uint32":
      return new Uint32Array(arena.buffer, start, size);
    case "bool":
      return new Uint8Array(arena.buffer, start, size);
    default:
      return dtype satisfies never;
  }
}
