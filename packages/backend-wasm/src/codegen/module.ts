/** One WebAssembly module per program: a function per kernel, and one that runs them all, loops included. */
import { type Kernel, planMemory, type Program, type Step, visitSteps, type WhileLoop } from "@banach/autograd/backend";
import { laneMath } from "../math/index.ts";
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../wasm/index.ts";
import { contractFunction } from "./contract.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Layout } from "./layout.ts";
import { mapBody } from "./map.ts";
import { recurBody } from "./recur.ts";
import { reduceBody } from "./reduce.ts";
import { scatterBody } from "./scatter.ts";

const ALIGNMENT = 16;

/** Bytes that a module takes from the memory it imports, besides the buffers that its table names. */
export interface EmittedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Temporaries and scratch, which the caller provides. */
  readonly arenaBytes: number;
  /** Addresses in the table given to `run`: inputs, outputs, arena; then one word per outermost while, written by the run. */
  readonly tableLength: number;
  readonly whileCount: number;
}

export interface ModuleOptions {
  readonly relaxed: boolean;
  readonly name: string;
}

/** Writes the module of a program. It imports `env.memory` and exports `run(table)`. */
export function emitModule(program: Program, options: ModuleOptions): EmittedModule {
  const module = new ModuleBuilder({ name: options.name });
  module.importMemory("env", "memory", { min: 0 });
  const layout = new Layout(module, program, planMemory(program, ALIGNMENT));
  const host: KernelHost = { module, layout, math: laneMath({ relaxed: options.relaxed }), relaxed: options.relaxed };
  const calls = kernelCalls(program, host);
  let whileCount = 0;
  const run = module.func("run", ["i32"], [], (f, table) => {
    layout.loadPointers(f, table);
    const counts = i32.add(table, 4 * layout.tableLength);
    writeSteps(f, program.steps, calls, layout, (steps) => {
      f.i32.store(counts, steps, 4 * whileCount++);
    });
  });
  module.export("run", run);
  return { bytes: module.build(), arenaBytes: layout.arenaBytes, tableLength: layout.tableLength, whileCount };
}

type Call = (f: FunctionBuilder) => void;

/** One function per kernel, in the order of the text. */
function kernelCalls(program: Program, host: KernelHost): ReadonlyMap<Step, Call> {
  const calls = new Map<Step, Call>();
  visitSteps(program.steps, (step) => {
    if (step.kind === "while" || step.kind === "for") return;
    const name = `${step.kind}${calls.size}`;
    if (step.kind === "contract") {
      const func = contractFunction(step, host);
      calls.set(step, (f) => {
        f.call(func);
      });
      return;
    }
    const body = bodyOf(step, host);
    const func = host.module.func(name, [], [], (f) => {
      body(f);
    });
    calls.set(step, (f) => {
      f.call(func);
    });
  });
  return calls;
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

/** Writes steps into the run function; `report` receives the iterations of each while that stands in no loop. */
function writeSteps(
  f: FunctionBuilder,
  steps: readonly Step[],
  calls: ReadonlyMap<Step, Call>,
  layout: Layout,
  report: ((steps: Local<"i32">) => void) | null,
): void {
  for (const step of steps) {
    if (step.kind === "while") {
      writeWhile(f, step, calls, layout, report);
    } else if (step.kind === "for") {
      const { counter, length, reverse, body } = step;
      if (length === 0) continue;
      const global = layout.counter(counter);
      f.range(0, length, 1, (i) => {
        f.set(global, reverse ? i32.sub(length - 1, i) : i);
        writeSteps(f, body, calls, layout, null);
      });
    } else calls.get(step)?.(f);
  }
}

function writeWhile(
  f: FunctionBuilder,
  { test, flag, body, maxSteps }: WhileLoop,
  calls: ReadonlyMap<Step, Call>,
  layout: Layout,
  report: ((steps: Local<"i32">) => void) | null,
): void {
  f.scope(() => {
    const count = f.local("i32", 0);
    f.while_(
      () => i32.lt_s(count, maxSteps),
      (exit) => {
        writeSteps(f, test, calls, layout, null);
        f.brIf(exit, i32.eqz(i32.load8_u(layout.base(flag))));
        writeSteps(f, body, calls, layout, null);
        f.set(count, i32.add(count, 1));
      },
    );
    report?.(count);
  });
}
