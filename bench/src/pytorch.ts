/** The train step of the A5 run in PyTorch, in a process of its own that is fed a line for each sample. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type HostTensor, treeLeaves } from "@banach/autograd";
import { authorsRule, prepared } from "./fp-mamba.ts";
import type { Framework, SolverReport, Task } from "./framework.ts";
import type { Sample } from "./measure.ts";
import type { WorkOf } from "./work.ts";

type FpMamba = WorkOf<"fp-mamba">;

/** One process; the number of threads of PyTorch's libraries is fixed when they start. */
export interface PyTorch extends Framework {
  /** The step at the work's parameters and words, with no rule for when to stop but the number of sweeps. */
  readonly check: (work: FpMamba, sweeps: number) => Promise<Checked>;
}

/** What the step computes before it updates anything. */
export interface Checked {
  readonly logits: Float32Array;
  /** By the parameter's name. */
  readonly gradient: ReadonlyMap<string, Float32Array>;
}

export interface PyTorches extends AsyncDisposable {
  readonly name: string;
  /** Of PyTorch, and the library that it takes matrix products from. */
  readonly version: string;
  readonly on: (threads: 1 | 2) => PyTorch;
}

const name = "PyTorch";

/** The interpreters that are asked for PyTorch: that of the user's environment, then the system's. */
const interpreters = ["python3", "/usr/bin/python3"];

/** undefined where no interpreter has PyTorch. */
export async function findPyTorch(): Promise<PyTorches | undefined> {
  for (const python of interpreters) {
    const probe = promisify(execFile)(python, ["-c", "import torch; print(torch.__version__)"]);
    const found = await probe.catch(() => undefined);
    if (found !== undefined) return pytorches(python, found.stdout.trim());
  }
  return undefined;
}

async function pytorches(python: string, torch: string): Promise<PyTorches> {
  const started = new Map<number, Conversation>();
  const conversationOn = (threads: 1 | 2): Conversation => {
    const known = started.get(threads) ?? converse(python, threads);
    started.set(threads, known);
    return known;
  };
  const { blas } = (await conversationOn(1).ask({ op: "version" })) as { readonly blas: string };
  const version = `${torch} (${blas})`;
  return {
    name,
    version,
    on: (threads) => pytorch(conversationOn(threads), threads, version),
    [Symbol.asyncDispose]: async () => {
      for (const conversation of started.values()) await conversation.end();
    },
  };
}

function pytorch({ ask }: Conversation, threads: number, version: string): PyTorch {
  const setUp = async (work: FpMamba, rule: Rule): Promise<void> => {
    await ask({ op: "setup", threads, ...(await described(work, rule)) });
  };
  // The process has one work at a time.
  let current: FpMamba | undefined;
  const sample = async (work: FpMamba, runs: number): Promise<Sample & Reported> => {
    if (current !== work) await setUp(work, authorsRule);
    current = work;
    return (await ask({ op: "sample", runs })) as Sample & Reported;
  };
  return {
    name,
    version,
    prepare: async (work): Promise<Task | undefined> => {
      if (work.kind !== "fp-mamba" || work.use !== "train") return undefined;
      let last = await sample(work, 1);
      const time = async (runs: number): Promise<Sample> => (last = await sample(work, runs));
      const iterations = (): Promise<SolverReport> => Promise.resolve({ mean: last.iterations, unsolved: 0 });
      return { run: () => time(1), time, iterations };
    },
    check: async (work, sweeps) => {
      await setUp(work, { ...authorsRule, tol: 0, maxSteps: sweeps });
      current = undefined;
      const { logits, gradient } = (await ask({ op: "check" })) as Answer;
      const entries = Object.entries(gradient).map(([name, value]) => [name, decoded(value)] as const);
      return { logits: decoded(logits), gradient: new Map(entries) };
    },
  };
}

type Rule = { readonly [K in keyof typeof authorsRule]: number };

interface Reported {
  readonly iterations: number;
}

interface Encoded {
  readonly shape: readonly number[];
  /** base64 of little-endian numbers of 4 bytes. */
  readonly data: string;
}

interface Answer {
  readonly logits: Encoded;
  readonly gradient: Readonly<Record<string, Encoded>>;
}

async function described(work: FpMamba, solver: Rule) {
  const { plan, state, words } = await prepared(work);
  const { model, optimizer } = plan;
  if (model.kind !== "fp-mamba" || model.mixer.kind !== "householder") {
    throw new Error("the script in bench/pytorch has FP-Mamba with a Householder mixer only");
  }
  const { rank, gain } = model.mixer;
  return {
    // The least norm that anything is divided by has its default.
    model: { rank, gain, state: model.dState, eps: 1e-5 },
    solver,
    optimizer,
    params: Object.fromEntries(
      treeLeaves<HostTensor>(state.params as never).map(({ path, leaf }) => [path, encoded(leaf)]),
    ),
    batch: { inputs: encoded(words.inputs), targets: encoded(words.targets), mask: encoded(words.mask) },
  };
}

function encoded({ dtype, shape, data }: HostTensor): Encoded {
  const numbers = dtype === "float32" ? Float32Array.from(data) : Int32Array.from(data);
  return { shape, data: Buffer.from(numbers.buffer).toString("base64") };
}

function decoded({ data }: Encoded): Float32Array {
  const { buffer, byteOffset, byteLength } = Buffer.from(data, "base64");
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

interface Conversation {
  /** One question at a time. Rejects if the process ends. */
  readonly ask: (question: object) => Promise<unknown>;
  readonly end: () => Promise<void>;
}

function converse(python: string, threads: number): Conversation {
  // From the bundle, which run.mjs puts two folders below bench.
  const script = fileURLToPath(new URL("../../pytorch/fp_mamba.py", import.meta.url));
  const count = String(threads);
  const child = spawn(python, [script], {
    stdio: ["pipe", "pipe", "inherit"],
    // OpenBLAS has its own threads, in some of its builds.
    env: { ...process.env, OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count },
  });
  const ended = endOf(child);
  // A question to a process that has ended: the answer that does not come tells.
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (question) => {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`PyTorch's process ended with ${await ended}`);
      return JSON.parse(line.value) as unknown;
    },
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(String(error)));
    child.once("exit", (code, signal) => resolve(String(code ?? signal)));
  });
}
