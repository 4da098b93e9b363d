/** The work as programs of Banach. */
import {
  type Device,
  type DeviceArray,
  dotGeneral,
  hostTensor,
  jit,
  key,
  linearRecurrence,
  matmul,
  nn,
  optim,
  type Tracer,
  valueAndGrad,
  vjp,
  whileLoop,
} from "@banach/autograd";
import { fpRnn, householder, selectiveScan, sequential, throughTime } from "@banach/fprnn";
import { a5Task } from "./a5.ts";
import { fpMambaTask } from "./fp-mamba.ts";
import type { Framework, Task } from "./framework.ts";
import { type Input, inputsOf, type Work, type WorkOf } from "./work.ts";

/** The inputs of the work in order, to its results. */
type Program = (...inputs: Tracer[]) => Tracer | readonly Tracer[];

const host = ({ shape, data }: Input) => hostTensor({ dtype: "float32", shape }, data);

/** @param reads whether a run ends when an element of each result is on the host: for devices that run behind it */
export function banach(device: Device, name: string, { reads = false } = {}): Framework {
  const element = jit((x: Tracer) => x.reshape([-1]).sliceAxis(0, 0, 1), { device, label: "element" });
  const read = (result: DeviceArray): Promise<number> =>
    element(result).then(async (first) => {
      const value = await first.item();
      first.dispose();
      return value;
    });
  return {
    name,
    version: "",
    prepare: async (work) => {
      if (work.kind === "a5") return a5Task(device, work);
      if (work.kind === "fp-mamba") return fpMambaTask(device, work);
      if (work.kind === "fp-rnn") return fpRnnTask(device, work);
      const inputs = inputsOf(work).map((input) => device.put(host(input)));
      const f = jit(programOf(work), { device, label: work.kind });
      const first = async (): Promise<ArrayLike<number>> => {
        const results = [await f(...inputs)].flat();
        const data = await results[0]?.read();
        device.dispose(results);
        return data?.data ?? [];
      };
      await first();
      const call = (): Promise<void> => f(...inputs).then(dispose);
      return {
        run: !reads
          ? call
          : async () => {
              const results = [await f(...inputs)].flat();
              await Promise.all(results.map(read));
              device.dispose(results);
            },
        call,
        result: first,
        dispose: () => device.dispose(inputs),
      };
    },
  };
}

function dispose(results: DeviceArray | readonly DeviceArray[]): void {
  if ("dispose" in results) results.dispose();
  else for (const result of results) result.dispose();
}

function programOf(work: Exclude<Work, WorkOf<"fp-rnn" | "a5" | "fp-mamba">>): Program {
  switch (work.kind) {
    case "gemm": {
      const contracting = [[work.transposed === "left" ? 0 : 1], [work.transposed === "right" ? 1 : 0]] as const;
      return (a, b) => dotGeneral(a, b, { contracting });
    }
    case "batched-gemm":
      return (a, b) => matmul(a, b);
    case "silu":
      return (x, y, z) => nn.silu(x).mul(y).add(z);
    case "layer-norm":
      return (x, weight, bias) => nn.layerNorm(x, { weight, bias });
    case "recurrence":
      return (a, b) => linearRecurrence(a, b);
    case "recurrence-gradient":
      return (a, b, cotangent) => {
        const { value, pullback } = vjp(([a, b]: readonly [Tracer, Tracer]) => linearRecurrence(a, b), [a, b] as const);
        return [value, ...pullback(cotangent)];
      };
    case "selective-scan":
      return (u, delta, aLog, b, c, d, deltaBias) => selectiveScan({ u, delta, aLog, b, c, d, deltaBias });
    case "plain-sum":
      return (u, delta, aLog, b, c, d, deltaBias) => {
        const dt = nn.softplus(delta.add(deltaBias));
        const decay = dt.expandDims(-1).mul(aLog.exp().neg()).exp();
        const drive = dt.mul(u).expandDims(-1).mul(b.expandDims(2));
        return decay.add(drive).mul(c.expandDims(2)).sum({ axes: -1 }).add(u.mul(d));
      };
    case "mlp":
      return mlpStep;
    case "mlp-gemms":
      return mlpGemms;
    case "tiny":
      return (x) => x.mul(2).add(1);
    case "while":
      return (x) =>
        whileLoop(
          ({ x }) => x.index(0, 0).index(0, 0).less(1e9),
          ({ x }) => ({ x: x.mul(0.9).add(0.1) }),
          { x },
          { maxSteps: work.steps },
        ).carry.x;
  }
}

function mlpStep(x: Tracer, targets: Tracer, ...params: Tracer[]): Tracer[] {
  const loss = (weights: readonly Tracer[]): Tracer => {
    let h = x;
    for (let i = 0; i < weights.length; i += 2) {
      h = matmul(i === 0 ? h : h.maximum(0), at(weights, i)).add(at(weights, i + 1));
    }
    return nn.logSoftmax(h).mul(targets).sum().neg().div(x.dim(0));
  };
  const { value, grad } = valueAndGrad(loss)(params);
  return [value, ...params.map((p, i) => p.sub(at(grad, i).mul(0.01)))];
}

function mlpGemms(...inputs: Tracer[]): Tracer[] {
  const results: Tracer[] = [];
  for (let i = 0; i < inputs.length; i += 3) {
    const [h, w, g] = [at(inputs, i), at(inputs, i + 1), at(inputs, i + 2)];
    results.push(matmul(h, w), dotGeneral(h, g, { contracting: [[0], [0]] }));
    if (i > 0) results.push(dotGeneral(g, w, { contracting: [[1], [1]] }));
  }
  return results;
}

function at<T>(list: readonly T[], i: number): T {
  const item = list[i];
  if (item === undefined) throw new RangeError(`there is no item ${i}`);
  return item;
}

/** The train step of the FP-RNN row, and its first arguments. */
export function fpRnnStep(work: WorkOf<"fp-rnn">) {
  const layer = fpRnn({
    dModel: work.dModel,
    mixer: householder({ rank: 2 }),
    solver: sequential(),
    adjoint: throughTime(),
  });
  const adam = optim.adamw({ learningRate: 3e-3 });
  type Params = Parameters<typeof layer.apply>[0];
  const step = (params: Params, state: optim.OptimizerState<Params>, x: Tracer) => {
    const target = x.cumsum({ axis: 1 }).tanh();
    const loss = (p: Params): Tracer => layer.apply(p, x).y.sub(target).square().mean();
    const { value, grad } = valueAndGrad(loss)(params);
    return { loss: value, ...adam.update(grad, state, params) };
  };
  const params = layer.init(key(0));
  const [x] = inputsOf(work).map(host);
  if (x === undefined) throw new RangeError("the step has no input");
  return { step, arguments: [params, adam.init(params), x] as const };
}

async function fpRnnTask(device: Device, work: WorkOf<"fp-rnn">): Promise<Task> {
  const { step, arguments: given } = fpRnnStep(work);
  const f = jit(step, { device, label: "fp-rnn" });
  // Nothing is donated, so that every run does the same work.
  const [params, state, x] = given.map((tree) => device.put(tree)) as unknown as typeof given;
  const run = async (): Promise<number> => {
    const results = await f(params, state, x);
    const loss = await results.loss.item();
    device.dispose(results);
    return loss;
  };
  await run();
  return { run, result: async () => [await run()], dispose: () => device.dispose([params, state, x]) };
}
