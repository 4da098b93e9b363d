/** A growing array of bytes. */
import { encodeUnsigned, encodeUtf8 } from "./leb128.ts";

/** Appends bytes; nothing is ever taken back. */
export class ByteWriter {
  private buffer: Uint8Array<ArrayBuffer>;
  private end = 0;

  /** @param capacity bytes to reserve at first */
  constructor(capacity = 64) {
    this.buffer = new Uint8Array(capacity);
  }

  get length(): number {
    return this.end;
  }

  byte(value: number): void {
    if (this.end === this.buffer.length) this.reserve(1);
    this.buffer[this.end++] = value;
  }

  bytes(values: ArrayLike<number>): void {
    if (this.end + values.length > this.buffer.length) this.reserve(values.length);
    this.buffer.set(values, this.end);
    this.end += values.length;
  }

  /** As `bytes` for both, for the few bytes of an instruction, where loops are cheaper. */
  instruction(code: readonly number[], immediates: readonly number[]): void {
    const most = this.end + code.length + immediates.length;
    if (most > this.buffer.length) this.reserve(code.length + immediates.length);
    const { buffer } = this;
    let at = this.end;
    for (let i = 0; i < code.length; i++) buffer[at++] = code[i] as number;
    for (let i = 0; i < immediates.length; i++) buffer[at++] = immediates[i] as number;
    this.end = at;
  }

  unsigned(value: number): void {
    if (value >= 0 && value < 0x80) this.byte(value);
    else this.bytes(encodeUnsigned(value));
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
    return this.buffer.slice(0, this.end);
  }

  private reserve(more: number): void {
    const grown = new Uint8Array(Math.max(2 * this.buffer.length, this.end + more));
    grown.set(this.buffer);
    this.buffer = grown;
  }
}
