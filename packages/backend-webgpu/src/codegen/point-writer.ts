/** Scalar expressions at one point of a kernel: each node is computed once, each address as well. */
import type { Access, Expression, Store } from "@banach/autograd/backend";
import { literal, operationText } from "../wgsl/operations.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** Of a number as u32, wrapped. */
const unsigned = (value: number): string => `${value >>> 0}u`;

/** `offset + sum of stride * index`, in u32: negative strides wrap, and the sum is right all the same. */
export function addressText(w: ShaderWriter, { offset, strides, loops }: Access, axes: readonly string[]): string {
  const terms = [
    ...axes.map((index, axis) => ({ index, stride: strides[axis] ?? 0 })),
    ...loops.map(({ counter, stride }) => ({ index: w.counter(counter), stride })),
  ].filter(({ index, stride }) => stride !== 0 && index !== "0u");
  let text = offset === 0 && (terms[0]?.stride ?? 0) > 0 ? "" : unsigned(offset);
  for (const { index, stride } of terms) {
    const size = Math.abs(stride);
    const term = size === 1 ? index : `${index} * ${size}u`;
    if (text === "") text = term;
    else text += stride > 0 ? ` + ${term}` : ` - ${term}`;
  }
  return text === "" ? "0u" : text;
}

/** Takes a linear index apart: one name per axis, the last axis fastest. */
export function splitIndex(w: ShaderWriter, linear: string, sizes: readonly number[]): readonly string[] {
  const names = new Array<string>(sizes.length).fill("0u");
  let rest = linear;
  const long = sizes.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  for (const [position, axis] of [...long].reverse().entries()) {
    const size = sizes[axis] ?? 1;
    if (position === long.length - 1) names[axis] = rest;
    else {
      names[axis] = w.let(`${rest} % ${size}u`, "i");
      rest = w.let(`${rest} / ${size}u`, "r");
    }
  }
  return names;
}

export class PointWriter {
  private readonly w: ShaderWriter;
  private readonly axes: readonly string[];
  private readonly accumulated: string | undefined;
  private readonly done = new Map<Expression, string>();
  /** By what was computed: before anything is stored, equal text has equal value. */
  private readonly names = new Map<string, string>();

  /**
   * @param axes the index along each axis
   * @param accumulated what an epilogue finishes
   */
  constructor(w: ShaderWriter, axes: readonly string[], accumulated?: string) {
    this.w = w;
    this.axes = axes;
    this.accumulated = accumulated;
  }

  /** The name or the literal of a value. */
  value(node: Expression): string {
    const known = this.done.get(node);
    if (known !== undefined) return known;
    const text = this.compute(node);
    const isName = node.kind === "constant" || node.kind === "accumulated";
    const name = isName ? text : this.named(text, "v");
    this.done.set(node, name);
    return name;
  }

  /** Evaluates every value, then stores all of them. */
  storeAll(stores: readonly Store[]): void {
    const values = stores.map(({ value }) => this.value(value));
    stores.forEach(({ buffer, access }, i) => {
      this.w.store(buffer, this.address(access), values[i] ?? "");
    });
  }

  address(access: Access): string {
    const text = addressText(this.w, access, this.axes);
    return text.includes(" ") ? this.named(text, "a") : text;
  }

  private named(text: string, hint: string): string {
    let name = this.names.get(text);
    if (name === undefined) {
      name = this.w.let(text, hint);
      this.names.set(text, name);
    }
    return name;
  }

  private compute(node: Expression): string {
    const { w } = this;
    switch (node.kind) {
      case "constant":
        return literal(node.dtype, node.value);
      case "read":
        return w.load(node.buffer, this.address(node.access));
      case "index": {
        const index = this.address(node.access);
        if (node.dtype === "uint32") return index;
        return node.dtype === "int32" ? `i32(${index})` : `f32(i32(${index}))`;
      }
      case "gather": {
        const index = w.let(`u32(${this.value(node.index)})`, "g");
        const scaled = node.stride === 1 ? index : `${index} * ${node.stride}u`;
        const at = this.address(node.access);
        const address = at === "0u" ? scaled : `${at} + ${scaled}`;
        const isFloat = node.dtype === "float32" || node.dtype === "float16";
        const outside = literal(node.dtype, isFloat ? Number.NaN : 0);
        // Reads beyond the end are safe in WGSL; what they give is not used.
        return `select(${outside}, ${w.load(node.buffer, address)}, ${index} < ${node.limit}u)`;
      }
      case "bits": {
        const [key0, key1] = node.key.map((word) => this.value(word));
        return `${w.use("threefry2x32_bits")}(${key0 ?? ""}, ${key1 ?? ""}, 0u, ${this.address(node.counter)})`;
      }
      case "accumulated":
        if (this.accumulated === undefined) throw new RangeError("nothing is accumulated here");
        return this.accumulated;
      case "apply":
        return operationText(
          node,
          node.args.map((arg) => this.value(arg)),
          w.use,
        );
      default:
        return node satisfies never;
    }
  }
}
