/** Scalar expressions at one point of a kernel: each node is computed once, each address as well. */
import {
  type Access,
  childrenOf,
  type Expression,
  type Read,
  type Store,
  visitExpression,
} from "@banach/autograd/backend";
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
    const term = size <= 1 ? index : `${index} * ${size}u`;
    if (text === "") text = term;
    else text += stride > 0 ? ` + ${term}` : ` - ${term}`;
  }
  return text === "" ? "0u" : text;
}

/** Takes a linear index apart: one name per axis, the last axis fastest. */
export function splitIndex(w: ShaderWriter, linear: string, sizes: readonly number[]): readonly string[] {
  const names = new Array<string>(sizes.length).fill("0u");
  let rest = linear;
  // Nothing is done where a size is 0, but a compiler refuses to divide by it.
  const long = sizes.flatMap((size, axis) => (size <= 1 ? [] : [axis]));
  for (const [position, axis] of [...long].reverse().entries()) {
    const size = sizes[axis] ?? 1;
    if (position === long.length - 1) names[axis] = rest;
    else {
      // Not every compiler of shaders knows this one.
      const bits = Math.log2(size);
      const isPower = Number.isInteger(bits);
      names[axis] = w.let(isPower ? `${rest} & ${size - 1}u` : `${rest} % ${size}u`, "i");
      rest = w.let(isPower ? `${rest} >> ${bits}u` : `${rest} / ${size}u`, "r");
    }
  }
  return names;
}

/** What is known before a loop over some axes: values that do not change in it, and the parts of addresses that do not. */
export interface BeforeLoop {
  readonly values: ReadonlyMap<Expression, string>;
  readonly bases: ReadonlyMap<Access, string>;
  readonly moving: ReadonlySet<number>;
}

/**
 * Computes what a loop over the axes `moving` would compute again and again: compilers of shaders do not move loads, and
 * some move nothing. Nothing that the loop stores may be read here.
 */
export function beforeLoop(
  w: ShaderWriter,
  roots: readonly Expression[],
  axes: readonly string[],
  moving: ReadonlySet<number>,
): BeforeLoop {
  const still = axes.map((name, axis) => (moving.has(axis) ? "0u" : name));
  const point = new PointWriter(w, still);
  const values = new Map<Expression, string>();
  const bases = new Map<Access, string>();
  const known = new Map<Expression, boolean>();
  const isInvariant = (node: Expression): boolean => {
    let result = known.get(node);
    if (result === undefined) {
      const access = accessOf(node);
      const stays = access?.strides.every((stride, axis) => stride === 0 || !moving.has(axis)) ?? true;
      // Every child is asked, so that what stays below something that moves is found.
      const children = childrenOf(node).map(isInvariant);
      result = stays && node.kind !== "accumulated" && children.every((child) => child);
      known.set(node, result);
    }
    return result;
  };
  for (const root of roots) {
    isInvariant(root);
    visitExpression(root, (node) => {
      for (const child of childrenOf(node)) if (!isInvariant(node) && isInvariant(child)) values.set(child, "");
      const access = accessOf(node);
      if (access !== null && !isInvariant(node)) bases.set(access, "");
    });
    if (isInvariant(root)) values.set(root, "");
  }
  for (const node of values.keys()) values.set(node, point.value(node));
  for (const access of bases.keys()) {
    const strides = access.strides.map((stride, axis) => (moving.has(axis) ? 0 : stride));
    bases.set(access, point.address({ ...access, strides }));
  }
  return { values, bases, moving };
}

function accessOf(node: Expression): Access | null {
  if (node.kind === "bits") return node.counter;
  return node.kind === "read" || node.kind === "index" || node.kind === "gather" ? node.access : null;
}

/** What is known at a point, besides where it is. */
export interface PointContext {
  /** What an epilogue finishes. */
  readonly accumulated?: string;
  /** Of a loop that the point is in. */
  readonly before?: BeforeLoop;
  /** The value of a read that need not be loaded. */
  readonly known?: (read: Read) => string | undefined;
  /**
   * Names by what was computed, shared by points that are computed side by side: before anything is stored, equal text
   * has equal value.
   */
  readonly names?: Map<string, string>;
}

export class PointWriter {
  private readonly w: ShaderWriter;
  private readonly axes: readonly string[];
  private readonly context: PointContext;
  private readonly done = new Map<Expression, string>();
  private readonly names: Map<string, string>;

  /** @param axes the index along each axis */
  constructor(w: ShaderWriter, axes: readonly string[], context: PointContext = {}) {
    this.w = w;
    this.axes = axes;
    this.context = context;
    this.names = context.names ?? new Map<string, string>();
  }

  /** The name or the literal of a value. */
  value(node: Expression): string {
    const { before, known: knownRead } = this.context;
    const known =
      this.done.get(node) ?? before?.values.get(node) ?? (node.kind === "read" ? knownRead?.(node) : undefined);
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
    const text = this.addressText(access);
    return text.includes(" ") ? this.named(text, "a") : text;
  }

  private addressText(access: Access): string {
    const {
      w,
      axes,
      context: { before },
    } = this;
    const base = before?.bases.get(access);
    if (before === undefined || base === undefined) return addressText(w, access, axes);
    const strides = access.strides.map((stride, axis) => (before.moving.has(axis) ? stride : 0));
    const moved = addressText(w, { offset: 0, strides, loops: [] }, axes);
    if (base === "0u") return moved;
    // A text that begins with 0 subtracts.
    return moved.startsWith("0u -") ? `${base}${moved.slice(2)}` : `${base} + ${moved}`;
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
        if (this.context.accumulated === undefined) throw new RangeError("nothing is accumulated here");
        return this.context.accumulated;
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
