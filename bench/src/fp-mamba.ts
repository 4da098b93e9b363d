/** The model of `banach start` by each solver, at several lengths, whole words at once and token by token. */
import { type Device, type HostTensor, hostTensor, jit, type MapTree, type Tracer } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import {
  anderson,
  auto,
  chunked,
  fpMamba,
  householder,
  languageModel,
  newton,
  picard,
  sequential,
  type SolverAndAdjoint,
  STATUSES,
  throughTime,
  truncated,
} from "@banach/fprnn";
import { buildRun, type RunPlan, trainStep } from "@banach/tasks";
import { planOf, representative, solverOf, wordsFor } from "./a5.ts";
import type { SolverReport, Task } from "./framework.ts";
import type { SolverName, WorkOf } from "./work.ts";

type FpMamba = WorkOf<"fp-mamba">;

/** As the authors train: damping, patience and the share of a batch that has to be solved; see arXiv 2503.10799. */
export const authorsRule = { tol: 0.1, maxSteps: 100, step: 0.99, decay: 0.9, patience: 15, quantile: 0.75 } as const;

/** All solve to one tolerance, so that their times can be compared. */
const tol = 0.03;

/** At each step of time at most so many iterations. */
const local = { tol, maxSteps: 40 };

/** On all of time at once it takes as many sweeps as there are steps for the first one to reach the last. */
const onAll = (time: number) => ({ tol, maxSteps: time + local.maxSteps });

const chunk = 16;

/**
 * With the gradient through time, where the solver has one. It is that of a sweep, which `chunked` does without where
 * there is no gradient.
 */
const solvers: Readonly<Record<SolverName, (work: FpMamba) => SolverAndAdjoint>> = {
  picard: ({ time }) => ({ solver: picard(onAll(time)), adjoint: truncated() }),
  anderson: ({ time }) => ({ solver: anderson(onAll(time)), adjoint: truncated() }),
  newton: ({ time }) => ({ solver: newton(onAll(time)), adjoint: truncated() }),
  chunked: ({ use }) => {
    const solver = chunked({ chunk, ...onAll(chunk) });
    return use === "train" ? { solver, adjoint: throughTime() } : { solver, adjoint: truncated() };
  },
  sequential: ({ tol = local.tol }) => ({ solver: sequential({ ...local, tol }), adjoint: throughTime() }),
  auto: () => ({ solver: auto(local), adjoint: throughTime() }),
  authors: () => ({ solver: picard(authorsRule), adjoint: truncated() }),
};

/** The model of a plan with another solver. */
export function modelOf({ model }: RunPlan, vocabulary: number, chosen: SolverAndAdjoint) {
  if (model.kind !== "fp-mamba" || model.mixer.kind !== "householder" || model.layers !== 1) {
    throw new Error("the plan is no longer one layer of FP-Mamba with a Householder mixer");
  }
  const { dModel, expand, dState, mixer } = model;
  const layer = fpMamba({ dModel, expand, dState, mixer: householder(mixer), ...chosen });
  return languageModel({ vocabulary, dModel, layers: [layer] });
}

/** The parameters of a work and its words; what it takes to train. */
export async function prepared(work: FpMamba) {
  const plan = planOf(work.parameters);
  const { task, optimizer } = buildRun(plan);
  const state = await representative(work.parameters);
  const words = wordsFor(state, task, { batch: work.batch, length: work.time - 1 });
  const model = modelOf(plan, task.vocabulary, solvers[work.solver](work));
  return { plan, task, optimizer, state, words, model };
}

export async function fpMambaTask(device: Device, work: FpMamba): Promise<Task> {
  switch (work.use) {
    case "forward":
      return forward(device, work);
    case "train":
      return training(device, work);
    case "stream":
      return stream(device, work);
  }
}

type Model = ReturnType<typeof modelOf>;
export type Params = Parameters<Model["apply"]>[0];
type State = ReturnType<Model["step"]>["state"];
/** On the host. */
type HostParams = MapTree<Params, Tracer, HostTensor>;

const usual = new Map<string, Promise<number>>();

/** Iterations of a work's forward pass, the mean over the batch; found out on the CPU. */
export function usualIterations(work: FpMamba): Promise<number> {
  const key = JSON.stringify(work);
  const known = usual.get(key) ?? countIterations(work);
  usual.set(key, known);
  return known;
}

async function countIterations(work: FpMamba): Promise<number> {
  await using device = await wasm({ threads: 1 });
  const task = await forward(device, work);
  const { mean = Number.NaN } = (await task.iterations?.()) ?? {};
  task.dispose?.();
  return mean;
}

async function forward(device: Device, work: FpMamba): Promise<Task> {
  const { plan, task, state, words, model } = await prepared(work);
  const apply = (params: Params, ids: Tracer) => {
    const { logits, stats } = model.apply(params, ids);
    return { logits, stats: stats.map(({ iterations, status }) => ({ iterations, status })) };
  };
  const f = jit(apply, { device, label: `fp-mamba ${work.solver}` });
  const inputs = [device.put(state.params as HostParams), device.put(words.inputs)] as const;
  let solver: SolverReport | undefined;
  const run = async (): Promise<void> => {
    const results = await f(...inputs);
    const [stats] = results.stats;
    if (stats !== undefined) solver = reportOf(await stats.iterations.read(), await stats.status.read());
    device.dispose(results);
  };
  const result = async (): Promise<ArrayLike<number>> => {
    // As many iterations for each sequence, as a framework makes that cannot decide when to stop.
    const solver = sequential({ tol: 0, maxSteps: Math.max(1, Math.round(await usualIterations(work))) });
    const solved = modelOf(plan, task.vocabulary, { solver, adjoint: throughTime() });
    const f = jit((params: Params, ids: Tracer) => solved.apply(params, ids).logits, { device, label: "fp-mamba" });
    const logits = await f(...inputs);
    const { data } = await logits.read();
    logits.dispose();
    return Float32Array.from(data);
  };
  const call = (): Promise<void> => f(...inputs).then((results) => device.dispose(results));
  return { ...withSolver(run, () => solver, inputs, device), result, call };
}

async function training(device: Device, work: FpMamba): Promise<Task> {
  const { plan, optimizer, state, words, model } = await prepared(work);
  const step = jit(trainStep({ model, optimizer, clip: plan.optimizer.clip }), {
    device,
    label: `fp-mamba ${work.solver}`,
  });
  const inputs = [device.put(state.params), device.put(state.optimizer)] as const;
  let solver: SolverReport | undefined;
  const run = async (): Promise<void> => {
    // As in training, the batch comes from the host and the report goes to it. Nothing is donated, see a5.ts.
    const results = await step(...inputs, words);
    const { data } = await results.report.read();
    solver = solverOf(data);
    device.dispose(results);
  };
  return withSolver(run, () => solver, inputs, device);
}

/** The solver's report is that of the last run, so that slow work is not run again for it. */
function withSolver(
  run: () => Promise<void>,
  solver: () => SolverReport | undefined,
  inputs: unknown,
  device: Device,
): Task {
  const iterations = async (): Promise<SolverReport> => {
    if (solver() === undefined) await run();
    return solver() ?? { mean: Number.NaN, unsolved: Number.NaN };
  };
  return { run, iterations, dispose: () => device.dispose(inputs) };
}

function reportOf(iterations: HostTensor, status: HostTensor): SolverReport {
  const [counts, codes] = [Array.from(iterations.data), Array.from(status.data)];
  return {
    mean: counts.reduce((a, b) => a + b, 0) / counts.length,
    unsolved: codes.filter((code) => STATUSES[code] !== "converged").length,
  };
}

/** Words are read token by token; each token's logits are on the host before the next is given. */
async function stream(device: Device, work: FpMamba): Promise<Task> {
  const { state, words, model } = await prepared(work);
  const step = jit(
    (params: Params, token: Tracer, before: State) => {
      const { logits, state } = model.step(params, token, before);
      return { logits, state };
    },
    { device, label: "fp-mamba step", donate: [2] },
  );
  const params = device.put(state.params as HostParams);
  const tokens = tokensOf(words.inputs).map((column) => device.put(column));
  const start = model.initialState(work.batch);
  const run = async (): Promise<void> => {
    let carried = device.put(start);
    for (const token of tokens) {
      const { logits, state } = await step(params, token, carried);
      await logits.read();
      logits.dispose();
      carried = state;
    }
    device.dispose(carried);
  };
  return { run, dispose: () => device.dispose([params, tokens]) };
}

/** The columns of [batch, time]. */
function tokensOf({ data, shape: [batch = 0, time = 0] }: HostTensor): readonly HostTensor[] {
  return Array.from({ length: time }, (_, t) => {
    const column = Int32Array.from({ length: batch }, (_, row) => data[row * time + t] ?? Number.NaN);
    return hostTensor({ dtype: "int32", shape: [batch] }, column);
  });
}
