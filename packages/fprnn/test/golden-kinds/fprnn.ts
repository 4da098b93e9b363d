/** Fixtures of kind "FPRNN": a whole layer, its fixed point, the authors' stopping rule, and gradients. */
import { type Device, type HostTensor, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import {
  fpRnn,
  type FpRnnLayer,
  type FpRnnParams,
  type FpRnnParts,
  type HouseholderMixer,
  type HouseholderParams,
  type ParallelSolver,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "../../src/index.ts";
import {
  compare,
  compareAll,
  type Comparison,
  type Fixture,
  type FixtureTensor,
  hostTensors,
  nest,
  type Tensors,
  toHost,
} from "./fixture.ts";
import { goldenMixer, type MixerConfig, mixerIsBuilt } from "./mixer.ts";

interface LayerConfig extends MixerConfig {
  readonly d_model: number;
  readonly expand?: number;
  readonly symm?: boolean;
  readonly h_dep?: boolean;
  readonly short_conv?: boolean;
}

interface Run {
  readonly training: boolean;
  readonly n_steps: number;
  readonly y: FixtureTensor;
}

interface LayerFixture {
  readonly config: LayerConfig;
  readonly params: Tensors;
  readonly input: FixtureTensor;
  readonly cotangent: FixtureTensor;
  readonly prepared: Readonly<Record<"x" | "z" | "xm" | "b" | "lam", FixtureTensor>>;
  readonly picard_undamped: Readonly<Record<string, { readonly y: FixtureTensor; readonly out: FixtureTensor }>>;
  readonly ystar: FixtureTensor;
  readonly out: FixtureTensor;
  readonly "optimizer_thresh0.1": {
    readonly runs: readonly Run[];
    readonly stepsize: number;
    readonly ss_decay: number;
    readonly outlier_quantile: number;
  };
  readonly backward_n1: Backward;
  readonly backward_n3: Backward;
}

interface Backward {
  readonly loss: number;
  readonly grads: Tensors;
}

export function fpRnnIsBuilt(fixture: Fixture): boolean {
  return mixerIsBuilt((fixture as unknown as LayerFixture).config);
}

type GoldenLayer = FpRnnLayer<HouseholderMixer>;
type Params<T> = FpRnnParams<T, HouseholderParams<T>>;

/** Far below the tolerance of the comparison, so that what is compared is the fixed point. */
const EXACT = { tol: 1e-14, maxSteps: 2000 };

function goldenLayer(config: LayerConfig, training: SolverAndAdjoint = {}): GoldenLayer {
  const { d_model: dModel, expand = 2, symm = false, h_dep = true, short_conv: shortConv = false, eps = 1e-5 } = config;
  const argument = h_dep ? (symm ? "symmetric" : "concatenated") : "input";
  const mixer = goldenMixer({ ...config, eps });
  return fpRnn({ dModel, expand, argument, shortConv, eps, ...training, mixer, dtype: "float64" });
}

export async function checkFpRnn(device: Device, raw: Fixture): Promise<Comparison[]> {
  const fixture = raw as unknown as LayerFixture;
  return [
    ...(await checkForward(device, fixture)),
    ...(await checkStoppingRule(device, fixture)),
    ...(await checkGradients(device, fixture)),
  ];
}

/** The layer's input and parameters, as host tensors. */
function dataOf(fixture: LayerFixture): { readonly params: Params<HostTensor>; readonly input: HostTensor } {
  return { params: nest(hostTensors(fixture.params)) as Params<HostTensor>, input: toHost(fixture.input) };
}

/** The iterate that a solver returns, the layer's output from it, and its iterations. */
async function solveWith(
  device: Device,
  fixture: LayerFixture,
  solver: ParallelSolver,
): Promise<Readonly<Record<"y" | "out" | "iterations", HostTensor>>> {
  const { params, input } = dataOf(fixture);
  const layer = goldenLayer(fixture.config);
  const run = (p: Params<Tracer>, x: Tracer): Record<"y" | "out" | "iterations", Tracer> => {
    const { problem, y0, theta, readout } = layer.parts(p, x);
    const { y, stats } = solver.solve(problem, y0, theta);
    return { y, out: readout(y).y, iterations: stats.iterations };
  };
  return device.get(await device.run(run, params, input));
}

async function checkForward(device: Device, fixture: LayerFixture): Promise<Comparison[]> {
  const { params, input } = dataOf(fixture);
  const layer = goldenLayer(fixture.config);
  const prepare = (p: Params<Tracer>, x: Tracer): FpRnnParts["prepared"] => layer.parts(p, x).prepared;
  const { lambda, ...prepared } = await device.get(await device.run(prepare, params, input));
  const comparisons = [
    compare("prepared lambda", lambda, fixture.prepared.lam),
    ...(["x", "z", "xm", "b"] as const).map((name) =>
      compare(`prepared ${name}`, prepared[name], fixture.prepared[name]),
    ),
  ];
  for (const [name, expected] of Object.entries(fixture.picard_undamped)) {
    const sweeps = Number(name.replace("ell", ""));
    const { y, out } = await solveWith(device, fixture, picard({ tol: 0, maxSteps: sweeps }));
    comparisons.push(compare(`${name} y`, y, expected.y), compare(`${name} out`, out, expected.out));
  }
  const { y, out } = await solveWith(device, fixture, picard(EXACT));
  return [...comparisons, compare("ystar", y, fixture.ystar), compare("out", out, fixture.out)];
}

/** The authors' damping, patience and quantile: how many iterations, and which iterate comes back. */
async function checkStoppingRule(device: Device, fixture: LayerFixture): Promise<Comparison[]> {
  const rule = fixture["optimizer_thresh0.1"];
  const comparisons: Comparison[] = [];
  for (const { training, n_steps, y } of rule.runs) {
    const quantile = training ? 1 - rule.outlier_quantile : 1;
    const solver = picard({ tol: 0.1, maxSteps: 1000, step: rule.stepsize, decay: rule.ss_decay, quantile });
    const result = await solveWith(device, fixture, solver);
    const what = training ? "training rule" : "evaluation rule";
    const steps = { shape: result.iterations.shape, data: Array.from(result.iterations.data, () => n_steps) };
    comparisons.push(compare(`${what} iterations`, result.iterations, steps), compare(`${what} y`, result.y, y));
  }
  return comparisons;
}

async function checkGradients(device: Device, fixture: LayerFixture): Promise<Comparison[]> {
  const cases = [
    ["n1", fixture.backward_n1, { solver: picard(EXACT), adjoint: truncated({ steps: 1 }) }],
    ["n3", fixture.backward_n3, { solver: picard(EXACT), adjoint: truncated({ steps: 3 }) }],
    // The sweep through time without its carry is the authors' gradient.
    ["through time", fixture.backward_n1, { solver: sequential(EXACT), adjoint: throughTime({ carry: false }) }],
  ] as const;
  const { params, input } = dataOf(fixture);
  const cotangent = toHost(fixture.cotangent);
  const comparisons: Comparison[] = [];
  for (const [what, expected, options] of cases) {
    const layer = goldenLayer(fixture.config, options);
    const lossAndGrad = valueAndGrad(({ input: x, ...p }: Params<Tracer> & { readonly input: Tracer }, g: Tracer) =>
      layer.apply(p, x).y.mul(g).sum(),
    );
    const { value, grad } = await device.get(await device.run(lossAndGrad, { ...params, input }, cotangent));
    comparisons.push(
      compare(`${what} loss`, value, expected.loss),
      ...compareAll(`${what} gradient`, treeLeaves<HostTensor>(grad), expected.grads),
    );
  }
  return comparisons;
}
