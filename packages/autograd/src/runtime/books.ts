/** The books of a backend: which buffers are live, how many bytes they have, and whether there still is a device. */
import { ArgumentError, BackendLostError, DisposedBufferError, DonatedBufferError, ShapeError } from "../errors.ts";
import { byteLengthOf, formatType, sameType, type TensorType } from "../ir/tensor-type.ts";
import type { Buffer, BufferState, MemoryStats } from "./backend.ts";

/** A buffer that knows whose it is and how it ended. */
export abstract class OwnedBuffer implements Buffer {
  readonly type: TensorType;
  readonly byteLength: number;
  private readonly books: Books;
  private end: "live" | "donated" | "disposed" = "live";
  /** Whether a run that has not ended was given the buffer to keep. */
  private isTaken = false;

  constructor(books: Books, type: TensorType) {
    this.books = books;
    this.type = type;
    this.byteLength = byteLengthOf(type);
  }

  get state(): BufferState {
    if (this.end !== "live") return this.end;
    if (this.books.isLost) return "lost";
    return this.isTaken ? "donated" : "live";
  }

  /** Neither donated nor disposed, though perhaps lost. */
  protected get isHeld(): boolean {
    return this.end === "live";
  }

  belongsTo(books: Books): boolean {
    return this.books === books;
  }

  /** Throws DisposedBufferError or DonatedBufferError, which say `what`, if the buffer has ended. */
  requireLive(what: string): void {
    if (this.end === "live" && !this.isTaken) return;
    const culprit = `${what}, ${formatType(this.type)},`;
    if (this.end === "disposed") throw new DisposedBufferError(`${culprit} was disposed`);
    throw new DonatedBufferError(`${culprit} was donated to an earlier run; use what that run returned instead`);
  }

  /** From here on the buffer is as a donated one to others, but has what it has: the run may fail, and give it back. */
  take(): void {
    this.isTaken = true;
  }

  giveBack(): void {
    this.isTaken = false;
  }

  donate(): void {
    this.drop("donated");
  }

  [Symbol.dispose](): void {
    this.drop("disposed");
  }

  /** Gives back what the buffer has; called once. */
  protected abstract release(): void;

  private drop(end: "donated" | "disposed"): void {
    if (this.end !== "live") return;
    this.end = end;
    this.books.remove(this);
    this.release();
  }
}

/** What a buffer needs of its books. */
interface Books {
  readonly isLost: boolean;
  remove(buffer: OwnedBuffer): void;
}

export class BufferBooks<B extends OwnedBuffer> implements Books {
  private readonly live = new Set<OwnedBuffer>();
  private bytes = 0;
  private peakBytes = 0;
  private lostBecause: string | null = null;

  get isLost(): boolean {
    return this.lostBecause !== null;
  }

  get liveBytes(): number {
    return this.bytes;
  }

  get liveBuffers(): readonly B[] {
    // All of them were entered as such.
    return [...this.live] as B[];
  }

  /** @param pooledBytes kept for reuse */
  statsWith(pooledBytes: number): MemoryStats {
    const { live, bytes, peakBytes } = this;
    return { liveBuffers: live.size, liveBytes: bytes, peakBytes, pooledBytes: this.isLost ? 0 : pooledBytes };
  }

  /** From here on every buffer is lost; `why` is said whenever one is asked for. */
  lose(why: string): void {
    this.lostBecause ??= why;
    this.live.clear();
    this.bytes = 0;
  }

  /** Throws BackendLostError, which says `what`, if the device is gone. */
  requirePresent(what: string): void {
    if (this.lostBecause !== null) throw new BackendLostError(`${what}: ${this.lostBecause}`);
  }

  enter(buffers: readonly B[]): void {
    for (const buffer of buffers) {
      this.live.add(buffer);
      this.bytes += buffer.byteLength;
    }
    this.notePeak(0);
  }

  remove(buffer: OwnedBuffer): void {
    if (this.live.delete(buffer)) this.bytes -= buffer.byteLength;
  }

  /** Notes that something needs so many bytes besides the buffers that are live. */
  notePeak(extra: number): void {
    this.peakBytes = Math.max(this.peakBytes, this.bytes + extra);
  }

  /** The largest live tensors, for the message of an OutOfMemoryError. */
  held(counts: (buffer: B) => boolean = () => true): string {
    const largest = this.liveBuffers
      .filter(counts)
      .sort((a, b) => b.byteLength - a.byteLength)
      .slice(0, 3);
    const names = largest.map(({ type, byteLength }) => `${formatType(type)} (${byteLength} bytes)`).join(", ");
    return names === "" ? "nothing is live" : `the largest live tensors are ${names}`;
  }

  /** The buffer as one of this backend's own, live or not. Throws ArgumentError for another's. */
  own(buffer: Buffer | undefined, what: string): B {
    if (buffer instanceof OwnedBuffer && buffer.belongsTo(this)) return buffer as B;
    throw new ArgumentError(`${what} is no buffer of this backend; read it where it belongs and write it here`);
  }

  /**
   * The buffers given to a program as live ones of its input types. Throws ShapeError, ArgumentError, DisposedBufferError or
   * DonatedBufferError, which name the input; the last one also where a donated input is given twice.
   */
  ownInputs(given: readonly Buffer[], types: readonly TensorType[], donated: ReadonlySet<number>, label: string): B[] {
    if (given.length !== types.length) {
      throw new ShapeError(`${label}: takes ${types.length} inputs, got ${given.length}`);
    }
    const inputs = given.map((candidate, i) => {
      const what = `${label}: input ${i}`;
      const buffer = this.own(candidate, what);
      const expected = types[i];
      if (expected !== undefined && !sameType(buffer.type, expected)) {
        throw new ShapeError(`${what} must be ${formatType(expected)}, got ${formatType(buffer.type)}`);
      }
      buffer.requireLive(what);
      return buffer;
    });
    for (const i of donated) {
      const other = inputs.findIndex((buffer, j) => j !== i && buffer === inputs[i]);
      if (other >= 0) {
        throw new DonatedBufferError(`${label}: input ${i} is donated, but input ${other} is the same buffer`);
      }
    }
    return inputs;
  }
}
