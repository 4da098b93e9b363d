/**
 * Loop nests with running pointers. Each access is a pointer, moved on as its axis is, and a constant behind it, which
 * loads and stores take for nothing: no product is computed in a loop, and an unrolled loop moves its pointers once a round.
 */
import type { Access, Expression, ProgramBuffer, Store } from "@banach/autograd/backend";
import { visitExpression } from "@banach/autograd/backend";
import { asExpr, keep, plus, times } from "../contract/axes.ts";
import { type Expr, type FunctionBuilder, type I32, i32 } from "../wasm/index.ts";
import type { Address, Locator } from "./emitter.ts";
import { elementBytes, type Layout } from "./layout.ts";

/** A part of a loop: constants, or what a thread finds at run time to be its part. */
export interface Span {
  readonly from: I32;
  readonly count: I32;
}

/** How an axis is run over in lanes. */
export interface LaneLoop {
  /** Which of the whole vectors; default all of them. */
  readonly vectors?: Span;
  /** Runs what is left after the last whole vector, or sees to it that somebody does. */
  readonly rest?: (run: () => void) => void;
  /** Of the body for a whole vector, in a round of the loop. */
  readonly copies?: number;
  /** Whole vectors that the body takes at once, where there are so many; default 1. */
  readonly together?: number;
}

/** What moves with the axes: strides in bytes, or for an index in what it counts. */
export interface Cursor {
  readonly strides: readonly number[];
}

/** Accesses that stay at one distance from each other. */
interface Group extends Cursor {
  readonly buffer: ProgramBuffer | null;
  readonly first: Access;
  readonly unit: number;
}

const keyOf = (buffer: ProgramBuffer | null, { strides, loops }: Access): string =>
  [buffer?.name ?? "#", strides.join(","), ...loops.map(({ counter, stride }) => `${counter.name}*${stride}`)].join(
    ";",
  );

/** The state of a nest: where every access is at the current point. */
export class Nest implements Locator {
  private readonly f: FunctionBuilder;
  private readonly groups = new Map<string, Group>();
  private current = new Map<Cursor, Address>();

  constructor(f: FunctionBuilder, layout: Layout, expressions: readonly Expression[], stores: readonly Store[]) {
    this.f = f;
    for (const root of [...expressions, ...stores.map(({ value }) => value)]) {
      visitExpression(root, (node) => {
        if (node.kind === "read" || node.kind === "gather") this.include(node.buffer, node.access);
        if (node.kind === "index") this.include(null, node.access);
        if (node.kind === "bits") this.include(null, node.counter);
      });
    }
    for (const { buffer, access } of stores) this.include(buffer, access);
    for (const group of this.groups.values()) {
      const { buffer, first } = group;
      const start = buffer === null ? layout.startIndex(first) : layout.start(buffer, first);
      this.current.set(group, { pointer: f.let(start), offset: 0 });
    }
  }

  private include(buffer: ProgramBuffer | null, access: Access): void {
    const key = keyOf(buffer, access);
    const known = this.groups.get(key);
    // Offsets of instructions are not negative: the pointer is at the least of them.
    if (known !== undefined && known.first.offset <= access.offset) return;
    const unit = buffer === null ? 1 : elementBytes(buffer);
    this.groups.set(key, { buffer, first: access, unit, strides: access.strides.map((stride) => stride * unit) });
  }

  /** Something else that moves along, from `start`. */
  add(start: Expr<"i32">, strides: readonly number[]): Cursor {
    const cursor: Cursor = { strides };
    this.current.set(cursor, { pointer: this.f.let(start), offset: 0 });
    return cursor;
  }

  /** Where a cursor is. */
  at(cursor: Cursor): Address {
    const address = this.current.get(cursor);
    if (address === undefined) throw new RangeError("a cursor of another nest");
    return address;
  }

  address(buffer: ProgramBuffer, access: Access): Address {
    return this.find(buffer, access);
  }

  index(access: Access): Expr<"i32"> {
    const { pointer, offset } = this.find(null, access);
    return asExpr(plus(pointer, offset));
  }

  private find(buffer: ProgramBuffer | null, access: Access): Address {
    const group = this.groups.get(keyOf(buffer, access));
    if (group === undefined) throw new RangeError("an access that the nest was not told of");
    const { pointer, offset } = this.at(group);
    return { pointer, offset: offset + (access.offset - group.first.offset) * group.unit };
  }

  /**
   * Runs the body for every `step`th element of an axis.
   * @param span the element where the first run is, and the number of runs; a number is that of runs from element 0
   * @param copies of the body in a round of the loop, so that it tests for its end, and moves pointers, less often
   */
  loop(axis: number, span: number | Span, step: number, body: () => void, copies = 1): void {
    this.grouped(axis, spanOf(span), step, copies, (runs) => {
      for (let run = 0; run < runs; run++) this.moved(axis, run * step, body);
    });
  }

  /** As `loop`, with a body that does several runs: `size` of them, then one at a time. */
  private grouped(axis: number, { from, count }: Span, step: number, size: number, body: (runs: number) => void): void {
    this.moved(axis, from, () => {
      const runs = keep(this.f, count);
      const rounds = keep(this.f, quotient(runs, size));
      this.lowered(axis, (size - 1) * step, () => {
        this.rounds(axis, rounds, size * step, () => {
          body(size);
        });
      });
      if (size === 1) return;
      this.moved(axis, times(rounds, size * step), () => {
        this.rounds(axis, remainder(runs, size), step, () => {
          body(1);
        });
      });
    });
  }

  private rounds(axis: number, count: I32, step: number, body: () => void): void {
    if (count === 0) return;
    if (count === 1) {
      this.f.scope(body);
      return;
    }
    this.within(() => {
      const moving = this.movingAlong(axis).map(({ cursor, at, stride }) => {
        const pointer = this.f.let(at.pointer);
        this.current.set(cursor, { pointer, offset: at.offset });
        return { pointer, by: stride * step };
      });
      // One of the pointers is the counter as well.
      const counter = moving[0] ?? { pointer: this.f.local("i32", 0), by: 1 };
      const end = this.f.let(i32.add(counter.pointer, times(count, counter.by)));
      const run = (): void => {
        this.f.loop((again) => {
          body();
          for (const { pointer, by } of moving.length > 0 ? moving : [counter])
            this.f.set(pointer, i32.add(pointer, by));
          this.f.brIf(again, i32.ne(counter.pointer, end));
        });
      };
      if (typeof count === "number") run();
      else this.f.if_(i32.ne(counter.pointer, end), run);
    });
  }

  /** Runs the body once with everything moved on by `distance` elements of an axis. */
  moved(axis: number, distance: I32, body: () => void): void {
    this.within(() => {
      for (const { cursor, at, stride } of this.movingAlong(axis)) {
        const by = times(distance, stride);
        const offset = typeof by === "number" ? at.offset + by : -1;
        this.current.set(
          cursor,
          offset >= 0 ? { ...at, offset } : { ...at, pointer: this.f.let(i32.add(at.pointer, by)) },
        );
      }
      body();
    });
  }

  /** Leaves everything in place, with room in the offsets to move on by `distance` where that leads to lower addresses. */
  private lowered(axis: number, distance: number, body: () => void): void {
    this.within(() => {
      for (const { cursor, at, stride } of this.movingAlong(axis)) {
        const by = stride * distance;
        if (by >= 0) continue;
        this.current.set(cursor, { pointer: this.f.let(i32.add(at.pointer, by)), offset: at.offset - by });
      }
      body();
    });
  }

  /** Loops over several axes, the last innermost, with copies of the body. */
  loops(spans: readonly (number | Span)[], axes: readonly number[], body: () => void, copies = 1): void {
    const [axis, ...rest] = axes;
    if (axis === undefined) {
      body();
      return;
    }
    const inner = (): void => {
      this.loops(spans, rest, body, copies);
    };
    this.loop(axis, spans[axis] ?? 0, 1, inner, rest.length === 0 ? copies : 1);
  }

  /** Steps over an axis four elements at a time, or a multiple of that, then over what is left one by one. */
  lanes(axis: number | undefined, size: number, body: (lanes: number) => void, options: LaneLoop = {}): void {
    if (axis === undefined) {
      body(1);
      return;
    }
    const whole = Math.floor(size / 4);
    const { vectors = spanOf(whole), copies = 1, together = 1 } = options;
    const span = { from: times(vectors.from, 4), count: vectors.count };
    if (together > 1 && whole > 0) {
      this.grouped(axis, span, 4, Math.min(together, whole), (runs) => {
        body(4 * runs);
      });
    } else if (whole > 0) {
      const four = (): void => {
        body(4);
      };
      this.loop(axis, span, 4, four, copies);
    }
    if (size % 4 === 0) return;
    const rest = (): void => {
      this.moved(axis, 4 * whole, () => {
        this.rounds(axis, size % 4, 1, () => {
          body(1);
        });
      });
    };
    if (options.rest === undefined) rest();
    else options.rest(rest);
  }

  /** Runs the body, then puts everything back to where it was. */
  private within(body: () => void): void {
    const outer = this.current;
    this.current = new Map(outer);
    this.f.scope(body);
    this.current = outer;
  }

  private movingAlong(
    axis: number,
  ): readonly { readonly cursor: Cursor; readonly at: Address; readonly stride: number }[] {
    return [...this.current].flatMap(([cursor, at]) => {
      const stride = cursor.strides[axis] ?? 0;
      return stride === 0 ? [] : [{ cursor, at, stride }];
    });
  }
}

const spanOf = (span: number | Span): Span => (typeof span === "number" ? { from: 0, count: span } : span);

const quotient = (value: I32, by: number): I32 =>
  typeof value === "number" ? Math.floor(value / by) : i32.div_u(value, by);

const remainder = (value: I32, by: number): I32 => (typeof value === "number" ? value % by : i32.rem_u(value, by));
