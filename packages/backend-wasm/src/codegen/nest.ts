/** Loop nests with running pointers: each access has one that is moved on as its axis is, so that no product is computed. */
import type { Access, Expression, ProgramBuffer, Store } from "@banach/autograd/backend";
import { visitExpression } from "@banach/autograd/backend";
import { type Expr, type FunctionBuilder, i32 } from "../wasm/index.ts";
import type { Locator } from "./emitter.ts";
import { elementBytes, type Layout } from "./layout.ts";

interface Pointer {
  /** Null for an index: the pointer is its value. */
  readonly buffer: ProgramBuffer | null;
  readonly access: Access;
  /** Bytes per element, 1 for an index. */
  readonly unit: number;
}

const keyOf = (buffer: ProgramBuffer | null, access: Access): string =>
  [
    buffer?.name ?? "#",
    access.offset,
    access.strides.join(","),
    ...access.loops.map(({ counter, stride }) => `${counter.name}*${stride}`),
  ].join(";");

/** The state of a nest: where every pointer is at the current point. */
export class Nest implements Locator {
  private readonly f: FunctionBuilder;
  private readonly pointers = new Map<string, Pointer>();
  private current = new Map<string, Expr<"i32">>();

  constructor(f: FunctionBuilder, layout: Layout, expressions: readonly Expression[], stores: readonly Store[]) {
    this.f = f;
    const add = (buffer: ProgramBuffer | null, access: Access): void => {
      const key = keyOf(buffer, access);
      if (this.pointers.has(key)) return;
      this.pointers.set(key, { buffer, access, unit: buffer === null ? 1 : elementBytes(buffer) });
      this.current.set(key, f.let(buffer === null ? layout.startIndex(access) : layout.start(buffer, access)));
    };
    for (const root of [...expressions, ...stores.map(({ value }) => value)]) {
      visitExpression(root, (node) => {
        if (node.kind === "read" || node.kind === "gather") add(node.buffer, node.access);
        if (node.kind === "index") add(null, node.access);
        if (node.kind === "bits") add(null, node.counter);
      });
    }
    for (const { buffer, access } of stores) add(buffer, access);
  }

  address(buffer: ProgramBuffer, access: Access): Expr<"i32"> {
    return this.at(buffer, access);
  }

  index(access: Access): Expr<"i32"> {
    return this.at(null, access);
  }

  private at(buffer: ProgramBuffer | null, access: Access): Expr<"i32"> {
    const pointer = this.current.get(keyOf(buffer, access));
    if (pointer === undefined) throw new RangeError("an access that the nest was not told of");
    return pointer;
  }

  /** Runs the body `count` times, moving every pointer on by `step` elements of its axis each time, from where it is. */
  loop(axis: number, count: number, step: number, body: () => void): void {
    if (count === 0) return;
    const moving = this.movingAlong(axis);
    if (count === 1) {
      body();
      return;
    }
    this.f.scope(() => {
      const outer = this.current;
      this.current = new Map(outer);
      const locals = moving.map(({ key, delta }) => {
        const local = this.f.let(outer.get(key) ?? i32.const(0));
        this.current.set(key, local);
        return { local, by: delta * step };
      });
      this.f.range(0, count, 1, () => {
        body();
        for (const { local, by } of locals) this.f.set(local, i32.add(local, by));
      });
      this.current = outer;
    });
  }

  /** Runs the body once with every pointer moved on by `distance` elements of its axis. */
  moved(axis: number, distance: number, body: () => void): void {
    this.f.scope(() => {
      const outer = this.current;
      this.current = new Map(outer);
      for (const { key, delta } of this.movingAlong(axis)) {
        const from = outer.get(key) ?? i32.const(0);
        this.current.set(key, this.f.let(i32.add(from, delta * distance)));
      }
      body();
      this.current = outer;
    });
  }

  /** Loops over several axes, the last innermost. */
  loops(sizes: readonly number[], axes: readonly number[], body: () => void): void {
    const [axis, ...rest] = axes;
    if (axis === undefined) {
      body();
      return;
    }
    this.loop(axis, sizes[axis] ?? 0, 1, () => {
      this.loops(sizes, rest, body);
    });
  }

  /** Steps over an axis four elements at a time, then over what is left one by one. */
  lanes(axis: number | undefined, size: number, body: (lanes: number) => void): void {
    if (axis === undefined) {
      body(1);
      return;
    }
    const whole = Math.floor(size / 4);
    this.loop(axis, whole, 4, () => {
      body(4);
    });
    if (size % 4 === 0) return;
    this.moved(axis, whole * 4, () => {
      this.loop(axis, size % 4, 1, () => {
        body(1);
      });
    });
  }

  private movingAlong(axis: number): readonly { readonly key: string; readonly delta: number }[] {
    return [...this.pointers].flatMap(([key, { access, unit }]) => {
      const delta = (access.strides[axis] ?? 0) * unit;
      return delta === 0 ? [] : [{ key, delta }];
    });
  }
}
