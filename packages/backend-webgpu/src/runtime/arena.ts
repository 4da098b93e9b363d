/** The temporaries of programs. The device runs programs one after the other, so that all of them share one arena. */
import { BufferUsage } from "../platform/constants.ts";
import type { Allocation, Memory } from "./memory.ts";

export class Arena {
  private readonly memory: Memory;
  private readonly slabs: (Allocation | undefined)[] = [];

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Slabs of so many bytes each at least, which grow where they are smaller; null for those of none. */
  reserve(bytes: readonly number[], what: string): readonly (Allocation | null)[] {
    return bytes.map((size, slab) => {
      const known = this.slabs[slab];
      if (size === 0) return null;
      if (known !== undefined && known.bytes >= size) return known;
      // What is being run keeps what it has.
      if (known !== undefined) this.drop(slab, known);
      const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
      const made = this.memory.make(size, usage, `temporaries of ${what}`);
      this.memory.noteArena(size);
      this.slabs[slab] = made;
      // What did not fit must not be taken for memory later.
      void made.made?.then((error) => {
        if (error !== null && this.slabs[slab] === made) this.drop(slab, made);
      });
      return made;
    });
  }

  destroy(): void {
    this.slabs.forEach((slab, index) => {
      if (slab !== undefined) this.drop(index, slab);
    });
  }

  private drop(index: number, { gpu, bytes }: Allocation): void {
    this.slabs[index] = undefined;
    this.memory.noteArena(-bytes);
    gpu.destroy();
  }
}
