/** Scalar expressions as instructions on four lanes. Tails and strided data use the same code with fewer live lanes. */
import {
  type Access,
  type Apply,
  childrenOf,
  type DType,
  type Expression,
  type Gather,
  type ProgramBuffer,
  type Store,
  visitExpression,
} from "@banach/autograd/backend";
import { asExpr, keep } from "../contract/axes.ts";
import { loadLanes, reach } from "../contract/emit-loops.ts";
import { type LaneMath, threefry } from "../math/index.ts";
import { type Expr, f32x4, type FunctionBuilder, i16x8, i32, i32x4, i8x16, v128 } from "../wasm/index.ts";
import { applyOperation } from "./operations.ts";

/** A place in memory, as instructions take it: bytes behind a pointer, not negative. */
export interface Address {
  readonly pointer: Expr<"i32">;
  readonly offset: number;
}

/** Where accesses are at the current point; for an index, its value. */
export interface Locator {
  address(buffer: ProgramBuffer, access: Access): Address;
  index(access: Access): Expr<"i32">;
}

export interface LaneOptions {
  readonly locator: Locator;
  readonly math: LaneMath;
  /** The axis along which the lanes lie, in the accesses of the expressions. */
  readonly axis: number;
  /** Live lanes: 4, or 1 at the end of a row. */
  readonly lanes: number;
  /** For epilogues. */
  readonly accumulated?: Expr<"v128">;
}

const all = (value: number): Expr<"v128"> => i32x4.const(value, value, value, value);

/** Writes the code of expressions at one point of a kernel. Bools are masks: all ones or all zeros in a lane. */
export class LaneEmitter {
  private readonly f: FunctionBuilder;
  private readonly options: LaneOptions;
  private readonly done = new Map<Expression, Expr<"v128">>();

  constructor(f: FunctionBuilder, options: LaneOptions) {
    this.f = f;
    this.options = options;
  }

  /** The lanes of an expression, kept in a local: nodes are computed once however often they are used. */
  value(node: Expression): Expr<"v128"> {
    const known = this.done.get(node);
    if (known !== undefined) return known;
    const code = this.compute(node);
    const kept = node.kind === "constant" || code.place !== undefined ? code : this.f.let(code);
    this.done.set(node, kept);
    return kept;
  }

  /** Evaluates every value, then stores all of them. */
  storeAll(stores: readonly Store[]): void {
    const values = stores.map(({ value }) => this.value(value));
    stores.forEach(({ buffer, access }, i) => {
      const value = values[i];
      if (value !== undefined) this.store(buffer, access, value);
    });
  }

  private compute(node: Expression): Expr<"v128"> {
    switch (node.kind) {
      case "constant":
        return constant(node.dtype, node.value);
      case "read":
        return this.load(node.buffer, node.access);
      case "index":
        return this.indexLanes(node.access, node.dtype);
      case "gather":
        return this.gather(node);
      case "bits": {
        const [key0, key1] = node.key.map((word) => this.value(word));
        if (key0 === undefined || key1 === undefined) throw new RangeError("random bits need a key of two words");
        return threefry(this.f, key0, key1, all(0), this.indexLanes(node.counter, "int32"));
      }
      case "accumulated":
        if (this.options.accumulated === undefined) throw new RangeError("nothing is accumulated here");
        return this.options.accumulated;
      case "apply":
        return this.apply(node);
      default:
        return node satisfies never;
    }
  }

  private apply(node: Apply): Expr<"v128"> {
    const args = childrenOf(node).map((child) => this.value(child));
    return applyOperation(this.f, this.options.math, node, args);
  }

  private strideOf(access: Access): number {
    return access.strides[this.options.axis] ?? 0;
  }

  /** With a pointer that can be used more than once. */
  private addressOf(buffer: ProgramBuffer, access: Access): Address {
    const { pointer, offset } = this.options.locator.address(buffer, access);
    return { pointer: asExpr(keep(this.f, pointer)), offset };
  }

  private load(buffer: ProgramBuffer, access: Access): Expr<"v128"> {
    const address = this.addressOf(buffer, access);
    const { pointer, offset } = address;
    const stride = this.strideOf(access);
    if (buffer.dtype === "bool") return this.loadMask(address, stride);
    if (this.options.lanes === 1) return v128.load32_zero(pointer, offset);
    if (stride === 0) return v128.load32_splat(pointer, offset);
    if (stride === 1) return v128.load(pointer, offset);
    let lanes: Expr<"v128"> = v128.load32_zero(pointer, offset);
    for (let lane = 1; lane < 4; lane++) {
      const [at, behind] = reach(pointer, offset + lane * stride * 4);
      lanes = v128.load32_lane(at, lanes, lane, behind);
    }
    return lanes;
  }

  /** Bytes of 0 and 1 to masks. */
  private loadMask({ pointer, offset }: Address, stride: number): Expr<"v128"> {
    if (this.options.lanes === 1 || stride === 0) return i32x4.ne(i32x4.splat(i32.load8_u(pointer, offset)), all(0));
    let bytes: Expr<"v128">;
    if (stride === 1) bytes = v128.load32_zero(pointer, offset);
    else {
      bytes = v128.load8_splat(pointer, offset);
      for (let lane = 1; lane < 4; lane++) {
        const [at, behind] = reach(pointer, offset + lane * stride);
        bytes = v128.load8_lane(at, bytes, lane, behind);
      }
    }
    return i32x4.ne(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)), all(0));
  }

  /** The values of an affine map in the lanes. */
  private indexLanes(access: Access, dtype: DType): Expr<"v128"> {
    const stride = this.strideOf(access);
    const first = i32x4.splat(this.options.locator.index(access));
    const lanes = stride === 0 ? first : i32x4.add(first, i32x4.const(0, stride, 2 * stride, 3 * stride));
    return dtype === "float32" ? f32x4.convert_i32x4_s(lanes) : lanes;
  }

  /** One load per index, guarded: an index outside the operand reads NaN, or 0 for integers and bools. */
  private gather({ buffer, access, stride, limit, index, dtype }: Gather): Expr<"v128"> {
    const { f } = this;
    const bytes = dtype === "bool" ? 1 : 4;
    const { pointer, offset } = this.addressOf(buffer, access);
    const indices = this.value(index);
    const result = f.local("v128", dtype === "float32" ? constant("float32", Number.NaN) : all(0));
    if (bytes === 4 && this.strideOf(access) === 1 && !variesAlong(index, this.options.axis)) {
      const at = f.let(i32x4.extract_lane(indices, 0));
      f.if_(i32.lt_u(at, limit), () => {
        f.set(result, loadLanes(i32.add(pointer, i32.mul(at, stride * bytes)), offset, this.options.lanes));
      });
      return result;
    }
    for (let lane = 0; lane < this.options.lanes; lane++) {
      const at = f.let(i32x4.extract_lane(indices, lane));
      // Unsigned: a negative index is a large one.
      f.if_(i32.lt_u(at, limit), () => {
        const [start, behind] = reach(pointer, offset + lane * this.strideOf(access) * bytes);
        const address = i32.add(start, i32.mul(at, stride * bytes));
        const loaded = bytes === 1 ? i32.sub(0, i32.load8_u(address, behind)) : i32.load(address, behind);
        f.set(result, i32x4.replace_lane(result, lane, loaded));
      });
    }
    return result;
  }

  private store(buffer: ProgramBuffer, access: Access, value: Expr<"v128">): void {
    const { f } = this;
    const { lanes } = this.options;
    const address = this.addressOf(buffer, access);
    const { pointer, offset } = address;
    const stride = this.strideOf(access);
    if (buffer.dtype === "bool") {
      this.storeMask(address, stride, value);
      return;
    }
    if (lanes === 4 && stride === 1) {
      f.v128.store(pointer, value, offset);
      return;
    }
    for (let lane = 0; lane < lanes; lane++) {
      const [at, behind] = reach(pointer, offset + lane * stride * 4);
      f.v128.store32_lane(at, value, lane, behind);
    }
  }

  /** Masks to bytes of 0 and 1. */
  private storeMask({ pointer, offset }: Address, stride: number, mask: Expr<"v128">): void {
    const { f } = this;
    const ones = f.let(v128.and(mask, all(1)));
    if (this.options.lanes === 4 && stride === 1) {
      const words = i16x8.narrow_i32x4_u(ones, ones);
      f.v128.store32_lane(pointer, i8x16.narrow_i16x8_u(words, words), 0, offset);
      return;
    }
    for (let lane = 0; lane < this.options.lanes; lane++) {
      const [at, behind] = reach(pointer, offset + lane * stride);
      f.v128.store8_lane(at, ones, lane * 4, behind);
    }
  }
}

/** Whether an expression may differ from one lane to the next, if they lie along an axis. */
export function variesAlong(root: Expression, axis: number): boolean {
  let varies = false;
  visitExpression(root, (node) => {
    if (node.kind === "read" || node.kind === "index" || node.kind === "gather") {
      varies ||= (node.access.strides[axis] ?? 0) !== 0;
    }
    if (node.kind === "bits") varies ||= (node.counter.strides[axis] ?? 0) !== 0;
  });
  return varies;
}

/** A constant in every lane. */
export function constant(dtype: DType, value: number): Expr<"v128"> {
  if (dtype === "float32") return f32x4.const(value, value, value, value);
  if (dtype === "bool") return all(value === 0 ? 0 : -1);
  return all(value | 0);
}

/** Stores the first `lanes` lanes, 4 or 1. */
export function storeLanes(f: FunctionBuilder, { pointer, offset }: Address, value: Expr<"v128">, lanes: number): void {
  if (lanes === 4) f.v128.store(pointer, value, offset);
  else f.v128.store32_lane(pointer, value, 0, offset);
}
