/** How a program is shared by threads: all of them run all of its code, each on its part of the work. */
import {
  type Expr,
  type Func,
  type FunctionBuilder,
  type Global,
  type I32,
  i32,
  type ModuleBuilder,
} from "../wasm/index.ts";
import { barrierFunction } from "./barrier.ts";

/** Part of a range. */
export interface Part {
  readonly from: I32;
  readonly count: I32;
}

/** Who runs a piece of code. */
export interface Team {
  readonly size: number;
  /** This thread's part of `units` pieces of work: neighbours, as many as others have or one more. */
  part(f: FunctionBuilder, units: number): Part;
  /** Runs the body on the thread that has the last part. */
  onLast(f: FunctionBuilder, body: () => void): void;
}

/** One thread that does everything. */
export const alone: Team = {
  size: 1,
  part: (_f, units) => ({ from: 0, count: units }),
  onLast: (_f, body) => {
    body();
  },
};

export interface ThreadsOptions {
  readonly size: number;
  /** Whether thread 0 may sleep; the main thread of a page may not. */
  readonly firstMaySleep: boolean;
}

/** The threads of a module: a global says which one an instance is. */
export class Threads implements Team {
  readonly size: number;
  private readonly thread: Global<"i32", true>;
  private readonly barrierCall: Func<readonly [], readonly []>;

  constructor(module: ModuleBuilder, { size, firstMaySleep }: ThreadsOptions) {
    this.size = size;
    this.thread = module.global("i32", 0, { mutable: true });
    this.barrierCall = barrierFunction(module, { threads: size, thread: this.thread, firstMaySleep });
  }

  get number(): Expr<"i32"> {
    return this.thread;
  }

  /** At the start of a run. */
  become(f: FunctionBuilder, thread: Expr<"i32">): void {
    f.set(this.thread, thread);
  }

  part(f: FunctionBuilder, units: number): Part {
    const each = Math.floor(units / this.size);
    const more = units % this.size;
    if (more === 0) return { from: f.let(i32.mul(this.thread, each)), count: each };
    // The first threads take one unit more.
    const early = i32.lt_s(this.thread, more);
    const from = i32.add(i32.mul(this.thread, each), i32.select(this.thread, more, early));
    return { from: f.let(from), count: f.let(i32.add(each, i32.lt_s(this.thread, more))) };
  }

  onLast(f: FunctionBuilder, body: () => void): void {
    f.if_(i32.eq(this.thread, this.size - 1), body);
  }

  onFirst(f: FunctionBuilder, body: () => void): void {
    f.if_(i32.eqz(this.thread), body);
  }

  barrier(f: FunctionBuilder): void {
    f.call(this.barrierCall);
  }
}
