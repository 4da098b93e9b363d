/** A growing array of bytes. */
import { encodeUnsigned, encodeUtf8 } from "./leb128.ts";

/** Appends bytes; nothing is ever taken back. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param capacity bytes to reserve at first */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(values: ArrayLike<number>): void {
    if (this.#length + values.length > this.#bytes.length) this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** As `bytes`, for the few bytes of an instruction, where a loop is cheaper. */
  short(values: readonly number[]): void {
    const count = values.length;
    if (this.#length + count > this.#bytes.length) this.#reserve(count);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < count; i++) bytes[at++] = values[i] ?? 0;
    this.#length = at;
  }

  unsigned(value: number): void {
    if (value >= 0 && value < 0x80) this.byte(value);
    else this.short(encodeUnsigned(value));
  }

  /** Text with its length in bytes before it. */
  text(value: string): void {
    this.sized(encodeUtf8(value));
  }

  /** Bytes with their number before them. */
  sized(values: ArrayLike<number>): void {
    this.unsigned(values.length);
    this.bytes(values);
  }

  /** What was written so far, as an array of its own. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
