/** How long a train step takes from its function to an instance: cold in a fresh process, and once more in the same. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Backend } from "@banach/autograd/backend";
import { Device, jit } from "@banach/autograd";
import { wasmBackend } from "@banach/backend-wasm";
import { fpRnnStep } from "./banach.ts";
import type { WorkOf } from "./work.ts";

interface CompileTimes {
  readonly cold: number;
  readonly second: number;
}

const known = new Map<string, Promise<readonly CompileTimes[]>>();

/** Milliseconds. Each sample is a process of its own. */
export async function compileSamples(
  work: WorkOf<"fp-rnn">,
  count: number,
  which: keyof CompileTimes,
): Promise<readonly number[]> {
  const key = JSON.stringify([work, count]);
  let times = known.get(key);
  if (times === undefined) {
    times = inProcesses(work, count);
    known.set(key, times);
  }
  return (await times).map((sample) => sample[which]);
}

async function inProcesses(work: WorkOf<"fp-rnn">, count: number): Promise<readonly CompileTimes[]> {
  const samples: CompileTimes[] = [];
  for (let i = 0; i < count; i++) {
    const bundle = fileURLToPath(import.meta.url);
    const program = `const { probeCompile } = await import(${JSON.stringify(import.meta.url)}); await probeCompile(${JSON.stringify(work)});`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program, bundle]);
    samples.push(JSON.parse(stdout) as CompileTimes);
  }
  return samples;
}

/** What the processes run: prints CompileTimes. Tracing, AD, passes, lowering, writing, instantiation; no run. */
export async function probeCompile(work: WorkOf<"fp-rnn">): Promise<void> {
  const once = async (): Promise<number> => {
    const given = fpRnnStep(work);
    await using device = new Device(withoutRuns(await wasmBackend({ threads: 1 })));
    const startedAt = performance.now();
    await jit(given.step, { device })(...given.arguments).catch((error: unknown) => {
      if (error !== compiled) throw error;
    });
    return performance.now() - startedAt;
  };
  const times: CompileTimes = { cold: await once(), second: await once() };
  console.log(JSON.stringify(times));
}

const compiled = new Error("compiled");

/** The backend, whose programs end where a run would begin. */
function withoutRuns(backend: Backend): Backend {
  return {
    ...backend,
    compile: async (...args) => {
      const program = await backend.compile(...args);
      const { inputs, outputs, donated, temporaryBytes } = program;
      const run = (): Promise<never> => Promise.reject(compiled);
      return { inputs, outputs, donated, temporaryBytes, run, [Symbol.dispose]: () => program[Symbol.dispose]() };
    },
  };
}
