/** The barrier between kernels: nobody passes before everybody has come. */
import { type Expr, type Func, i32, type ModuleBuilder } from "../wasm/index.ts";
import { CONTROL } from "./control.ts";

/**
 * Looks at the phase before a thread goes to sleep: some 20 us. Sleeping and waking takes longer than most waits at a
 * barrier last; a thread that waits longer had better leave its core to somebody else.
 */
const SPINS = 10_000;

/** After so many nanoseconds a sleeper looks whether everybody still lives. */
const PATIENCE = 100_000_000n;

export interface BarrierOptions {
  readonly threads: number;
  /** The number of this thread, in the module that runs on it. */
  readonly thread: Expr<"i32">;
  /** Whether thread 0 may sleep; the main thread of a page may not. */
  readonly firstMaySleep: boolean;
}

/** A function that returns once all threads have called it. Traps if one of them has died. */
export function barrierFunction(
  module: ModuleBuilder,
  { threads, thread, firstMaySleep }: BarrierOptions,
): Func<readonly [], readonly []> {
  return module.func("barrier", [], [], (f) => {
    const phase = f.let(f.i32.atomic_load(0, CONTROL.phase));
    const before = f.i32.atomic_rmw_add(0, 1, CONTROL.arrived);
    f.if_(
      i32.eq(before, threads - 1),
      () => {
        f.i32.atomic_store(0, 0, CONTROL.arrived);
        f.i32.atomic_store(0, i32.add(phase, 1), CONTROL.phase);
        // A thread that falls asleep now has been counted before, or finds the phase changed.
        f.if_(f.i32.atomic_load(0, CONTROL.sleeping), () => void f.memory.atomic_notify(0, -1, CONTROL.phase));
      },
      () => {
        const spins = f.local("i32", SPINS);
        f.while_(
          () => i32.eq(f.i32.atomic_load(0, CONTROL.phase), phase),
          () => {
            f.set(spins, i32.sub(spins, 1));
            f.if_(i32.eqz(spins), () => {
              f.if_(f.i32.atomic_load(0, CONTROL.failed), () => {
                f.unreachable();
              });
              f.set(spins, SPINS);
              const sleep = (): void => {
                f.i32.atomic_rmw_add(0, 1, CONTROL.sleeping);
                f.memory.atomic_wait32(0, phase, PATIENCE, CONTROL.phase);
                f.i32.atomic_rmw_sub(0, 1, CONTROL.sleeping);
              };
              if (firstMaySleep) sleep();
              else f.if_(thread, sleep);
            });
          },
        );
      },
    );
  });
}
