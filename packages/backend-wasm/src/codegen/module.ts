/** One WebAssembly module per program: a function per kernel, and one that runs them all, loops included. */
import {
  type ForLoop,
  isKernel,
  type Kernel,
  type MemoryPlan,
  type Program,
  type Step,
} from "@banach/autograd/backend";
import { laneMath } from "../math/index.ts";
import { alone, type Team, Threads, type ThreadsOptions } from "../threads/index.ts";
import { i32, maxPages, ModuleBuilder } from "../wasm/index.ts";
import { contractFunction } from "./contract.ts";
import { defaultGrain, type Grain, timeOf } from "./cost.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Layout } from "./layout.ts";
import { mapBody } from "./map.ts";
import { recurBody } from "./recur.ts";
import { reduceBody } from "./reduce.ts";
import { type KernelCall, RunWriter } from "./run.ts";
import { scatterBody } from "./scatter.ts";

export { defaultGrain, type Grain } from "./cost.ts";

/** Bytes that a module takes from the memory it imports, besides the buffers that its table names. */
export interface EmittedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Temporaries and scratch, which the caller provides. */
  readonly arenaBytes: number;
  /** Addresses in the table given to `run`: inputs, outputs, arena; then one word per outermost while, written by the run. */
  readonly tableLength: number;
  readonly whileCount: number;
  /** Threads that have to run it together, 1 if it is too small to share. */
  readonly threads: number;
}

export interface ModuleOptions {
  readonly relaxed: boolean;
  readonly name: string;
  /** The threads of the backend; null if there is one, and the memory is not shared. */
  readonly threads: (ThreadsOptions & { readonly grain: Grain }) | null;
}

/** Writes the module of a program. It imports `env.memory` and exports `run(table, thread)`. */
export function emitModule(program: Program, plan: MemoryPlan, options: ModuleOptions): EmittedModule {
  const { relaxed } = options;
  const module = new ModuleBuilder({ name: options.name });
  const limits = options.threads === null ? { min: 0 } : { min: 0, max: maxPages, shared: true };
  module.importMemory("env", "memory", limits);
  const layout = new Layout(module, program, plan);
  const grain = options.threads?.grain ?? defaultGrain;
  const worthWaking = program.steps.reduce((sum, step) => sum + timeOf(step), 0) >= grain.program;
  const threads = options.threads !== null && worthWaking ? new Threads(module, options.threads) : null;
  const calls = kernelCalls(
    program.steps,
    { module, layout, math: laneMath({ relaxed }), relaxed, team: alone },
    (kernel) => (threads !== null && timeOf(kernel) >= grain.step ? threads : alone),
  );
  let whileCount = 0;
  const run = module.func("run", ["i32", "i32"], [], (f, table, thread) => {
    threads?.become(f, thread);
    layout.loadPointers(f, table, threads === null ? 0 : thread);
    const counts = i32.add(table, 4 * layout.tableLength);
    const isDivided = (loop: ForLoop): boolean => loop.length > 1 && timeOf(loop) >= grain.step;
    new RunWriter(f, { layout, calls, threads, isDivided }).write(program.steps, (steps) => {
      f.i32.store(counts, steps, 4 * whileCount++);
    });
  });
  module.export("run", run);
  const size = threads?.size ?? 1;
  return {
    bytes: module.build(),
    arenaBytes: layout.arenaBytes(size),
    tableLength: layout.tableLength,
    whileCount,
    threads: size,
  };
}

/** One function per kernel, in the order of the text; `teamOf` says who runs those that stand in no divided loop. */
function kernelCalls(
  steps: readonly Step[],
  host: KernelHost,
  teamOf: (kernel: Kernel) => Team,
): ReadonlyMap<Kernel, KernelCall> {
  const calls = new Map<Kernel, KernelCall>();
  const visit = (inner: readonly Step[], team: (kernel: Kernel) => Team): void => {
    for (const step of inner) {
      if (isKernel(step)) {
        calls.set(step, kernelCall(step, `${step.kind}${calls.size}`, { ...host, team: team(step) }));
      } else if (step.kind === "while") visit([...step.test, ...step.body], team);
      else visit(step.body, step.locals === null ? team : () => alone);
    }
  };
  visit(steps, teamOf);
  return calls;
}

function kernelCall(kernel: Kernel, name: string, host: KernelHost): KernelCall {
  if (kernel.kind === "contract") return contractFunction(kernel, name, host);
  const { write, shared } = bodyOf(kernel, host);
  const func = host.module.func(name, [], [], (f) => {
    write(f);
  });
  return { func, shared };
}

function bodyOf(kernel: Exclude<Kernel, { readonly kind: "contract" }>, host: KernelHost): KernelBody {
  switch (kernel.kind) {
    case "map":
      return mapBody(kernel, host);
    case "reduce":
      return reduceBody(kernel, host);
    case "recur":
      return recurBody(kernel, host);
    case "scatter":
      return scatterBody(kernel, host);
    default:
      return kernel satisfies never;
  }
}
