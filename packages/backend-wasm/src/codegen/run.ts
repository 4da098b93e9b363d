/**
 * The function that runs a program: its kernels in order, and its loops. Where threads share the work, all of them run this
 * function. Each does its part of the kernels that are shared, thread 0 does the small ones by itself, and there is a
 * barrier before a step that touches what another thread may not be done with.
 */
import {
  type ForLoop,
  isKernel,
  type Kernel,
  type ProgramBuffer,
  readBy,
  type Step,
  visitSteps,
  type WhileLoop,
  writtenBy,
} from "@banach/autograd/backend";
import type { Threads } from "../threads/index.ts";
import { type Func, type FunctionBuilder, type I32, i32, type Local } from "../wasm/index.ts";
import type { Extent, Layout } from "./layout.ts";

/** A kernel's function, and whether every thread does a part of it. */
export interface KernelCall {
  readonly func: Func<readonly [], readonly []>;
  readonly shared: boolean;
}

export interface RunContext {
  readonly layout: Layout;
  readonly calls: ReadonlyMap<Kernel, KernelCall>;
  /** Null if one thread does everything. */
  readonly threads: Threads | null;
  /** Whether the iterations of a loop that may run at once are worth dividing. */
  readonly isDivided: (loop: ForLoop) => boolean;
}

/** Gets the iterations of each while that stands in no loop. */
type Report = (steps: Local<"i32">) => void;

/** What has been touched since the last barrier. */
interface Touch {
  readonly extent: Extent;
  readonly written: boolean;
  readonly shared: boolean;
}

export class RunWriter {
  private readonly f: FunctionBuilder;
  private readonly context: RunContext;
  private touched: Touch[] = [];

  constructor(f: FunctionBuilder, context: RunContext) {
    this.f = f;
    this.context = context;
  }

  /** Writes the program. All threads end together. */
  write(steps: readonly Step[], report: Report): void {
    const { threads } = this.context;
    if (threads === null) {
      this.serial(steps, report);
      return;
    }
    this.together(steps, threads, report);
    threads.barrier(this.f);
  }

  /** Steps that one thread runs by itself. */
  private serial(steps: readonly Step[], report: Report | null): void {
    for (const step of steps) {
      if (isKernel(step)) this.call(step);
      else if (step.kind === "while") this.serialWhile(step, report);
      else {
        this.iterations(step, 0, step.length, () => {
          this.serial(step.body, null);
        });
      }
    }
  }

  private serialWhile({ test, flag, body, maxSteps }: WhileLoop, report: Report | null): void {
    const run = (steps: readonly Step[]) => () => {
      this.serial(steps, null);
    };
    this.repeat({ flag, maxSteps, test: run(test), body: run(body) }, report);
  }

  /** Steps that all threads run. */
  private together(steps: readonly Step[], threads: Threads, report: Report | null): void {
    for (const step of steps) {
      if (!this.isShared(step)) {
        this.touch(step, false, threads);
        threads.onFirst(this.f, () => {
          this.serial([step], report);
        });
      } else if (isKernel(step)) {
        this.touch(step, true, threads);
        this.call(step);
      } else if (step.kind === "while") {
        this.whileTogether(step, threads, report);
      } else if (step.locals !== null) {
        this.touch(step, true, threads);
        const { from, count } = threads.part(this.f, step.length);
        this.iterations(step, from, count, () => {
          this.serial(step.body, null);
        });
      } else {
        this.synchronize(threads);
        this.iterations(step, 0, step.length, () => {
          this.together(step.body, threads, null);
          this.synchronize(threads);
        });
      }
    }
  }

  private whileTogether(loop: WhileLoop, threads: Threads, report: Report | null): void {
    const { test, flag, body, maxSteps } = loop;
    this.synchronize(threads);
    const look = (): void => {
      const extent = this.context.layout.extentOf(flag);
      if (extent !== null) this.touched.push({ extent, written: false, shared: true });
    };
    const parts = {
      flag,
      maxSteps,
      test: () => {
        this.together(test, threads, null);
        this.synchronize(threads);
        // Everybody reads the flag: it must not be written before they have, here or after the loop.
        look();
      },
      body: () => {
        this.together(body, threads, null);
        this.synchronize(threads);
      },
    };
    this.repeat(
      parts,
      report === null
        ? null
        : (steps) => {
            threads.onFirst(this.f, () => {
              report(steps);
            });
          },
    );
    look();
  }

  private repeat(
    parts: { readonly flag: WhileLoop["flag"]; readonly maxSteps: number; test: () => void; body: () => void },
    report: Report | null,
  ): void {
    const { f } = this;
    const { flag, maxSteps, test, body } = parts;
    f.scope(() => {
      const count = f.local("i32", 0);
      f.while_(
        () => i32.lt_s(count, maxSteps),
        (exit) => {
          test();
          f.brIf(exit, i32.eqz(i32.load8_u(this.context.layout.base(flag))));
          body();
          f.set(count, i32.add(count, 1));
        },
      );
      report?.(count);
    });
  }

  /** Runs the body for `count` steps of a loop, its counter set. */
  private iterations({ counter, length, reverse }: ForLoop, from: I32, count: I32, body: () => void): void {
    if (length === 0) return;
    const global = this.context.layout.counter(counter);
    this.f.range(from, typeof count === "number" && from === 0 ? count : i32.add(from, count), 1, (i) => {
      this.f.set(global, reverse ? i32.sub(length - 1, i) : i);
      body();
    });
  }

  private call(kernel: Kernel): void {
    const call = this.context.calls.get(kernel);
    if (call === undefined) throw new RangeError(`a ${kernel.kind} kernel has no function`);
    this.f.call(call.func);
  }

  /** Whether more than one thread has something to do in a step. */
  private isShared(step: Step): boolean {
    if (isKernel(step)) return this.context.calls.get(step)?.shared === true;
    if (step.kind === "for") {
      return step.locals === null ? step.body.some((inner) => this.isShared(inner)) : this.context.isDivided(step);
    }
    return [...step.test, ...step.body].some((inner) => this.isShared(inner));
  }

  /** A step is about to run: waits for the others if one of them may still use what it writes, or write what it uses. */
  private touch(step: Step, shared: boolean, threads: Threads): void {
    const touches: Touch[] = [];
    visitSteps([step], (inner) => {
      const written: readonly ProgramBuffer[] = isKernel(inner) ? writtenBy(inner) : [];
      const read = isKernel(inner) ? readBy(inner) : inner.kind === "while" ? [inner.flag] : [];
      for (const buffer of new Set([...read, ...written])) {
        const extent = this.context.layout.extentOf(buffer);
        if (extent !== null) touches.push({ extent, written: written.includes(buffer), shared });
      }
    });
    if (touches.some((touch) => this.touched.some((before) => conflict(before, touch)))) this.synchronize(threads);
    this.touched.push(...touches);
  }

  private synchronize(threads: Threads): void {
    if (this.touched.length === 0) return;
    threads.barrier(this.f);
    this.touched = [];
  }
}

/** Whether two touches must not happen at once. What thread 0 does by itself it does in order. */
function conflict(a: Touch, b: Touch): boolean {
  return (
    (a.shared || b.shared) &&
    (a.written || b.written) &&
    a.extent.region === b.extent.region &&
    a.extent.from < b.extent.to &&
    b.extent.from < a.extent.to
  );
}
