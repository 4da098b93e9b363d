/** Fixtures of whole layers: the fixed point, the authors' stopping rule and gradients, whatever the layer is. */
import type { HostTensor, Tracer } from "@banach/autograd";
import {
  type CausalProblem,
  type Mixer,
  type MixerArgument,
  type ParallelSolver,
  picard,
  type SolverAndAdjoint,
  type Tolerances,
  truncated,
} from "../../src/index.ts";
import {
  compare,
  type Comparison,
  type Fixture,
  type FixtureTensor,
  type FloatType,
  hostTensors,
  nest,
  type Setting,
  type Tensors,
  toHost,
} from "./fixture.ts";
import { checkAdjoints, checkExactGradients } from "./adjoints.ts";
import { goldenMixer, type MixerConfig, mixerIsBuilt } from "./mixer.ts";

export interface LayerConfig extends MixerConfig {
  readonly d_model: number;
  readonly d_state?: number;
  readonly expand?: number;
  readonly symm?: boolean;
  readonly h_dep?: boolean;
  readonly short_conv?: boolean;
  readonly bc_norm?: boolean;
  readonly glu_in_loop?: boolean;
}

interface Run {
  readonly training: boolean;
  readonly n_steps: number;
  readonly y: FixtureTensor;
}

export interface Backward {
  readonly loss: number;
  readonly grads: Tensors;
}

export interface LayerFixture {
  readonly config: LayerConfig;
  readonly params: Tensors;
  readonly input: FixtureTensor;
  readonly cotangent: FixtureTensor;
  readonly prepared: Tensors;
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
  /** The exact gradient. */
  readonly backward_implicit: Backward;
  /** Of the gradients by all parameters and the input, as one vector. */
  readonly cosine_to_implicit: Readonly<Record<"backward_n1" | "backward_n3", number>>;
}

/** Parameters of some layer, by the names of the fixture. */
export type Params<T> = Readonly<Record<string, T>>;

/** What every layer offers, its parameters and theta being its own business. */
export interface GoldenLayer {
  parts(
    params: Params<Tracer>,
    x: Tracer,
  ): {
    readonly problem: CausalProblem<unknown>;
    readonly theta: unknown;
    readonly y0: Tracer;
    readonly prepared: Params<Tracer>;
    readonly readout: (y: Tracer) => { readonly y: Tracer };
  };
  apply(params: Params<Tracer>, x: Tracer): { readonly y: Tracer };
}

/** The options that all layers share. */
export interface SharedOptions {
  readonly dModel: number;
  readonly expand: number;
  readonly argument: MixerArgument;
  readonly shortConv: boolean;
  readonly eps: number;
  readonly mixer: Mixer;
  readonly dtype: FloatType;
}

export interface LayerKind {
  readonly create: (options: SharedOptions, config: LayerConfig, training: SolverAndAdjoint) => GoldenLayer;
  /** What the authors' layers of this kind divide the factors of a Kronecker mixer by. */
  readonly normalization: string;
  /** Names in `prepared`, as in the fixture: as in the layer's parts. */
  readonly prepared: Readonly<Record<string, string>>;
  /** Solvers and adjoints besides Picard with 1 and 3 differentiable steps that must give the gradient `backward_n1`. */
  readonly likeOneStep: (exact: Tolerances) => Readonly<Record<string, SolverAndAdjoint>>;
}

export function layerIsBuilt(fixture: Fixture): boolean {
  return mixerIsBuilt((fixture as unknown as LayerFixture).config);
}

/** A fixture with the layer that it describes, for any solver. */
export interface Subject {
  readonly setting: Setting;
  readonly fixture: LayerFixture;
  readonly kind: LayerKind;
  readonly layer: (training?: SolverAndAdjoint) => GoldenLayer;
  readonly params: Params<HostTensor>;
  readonly input: HostTensor;
}

export async function checkLayer(setting: Setting, raw: Fixture, kind: LayerKind): Promise<Comparison[]> {
  const fixture = raw as unknown as LayerFixture;
  const { config } = fixture;
  const { dtype } = setting;
  const { d_model: dModel, expand = 2, symm = false, h_dep = true, short_conv: shortConv = false, eps = 1e-5 } = config;
  const argument = h_dep ? (symm ? "symmetric" : "concatenated") : "input";
  const mixer = goldenMixer({ normalization: kind.normalization, ...config, eps });
  const options = { dModel, expand, argument, shortConv, eps, mixer, dtype } as const;
  const subject: Subject = {
    setting,
    fixture,
    kind,
    layer: (training = {}) => kind.create(options, config, training),
    params: nest(hostTensors(fixture.params, dtype)) as Params<HostTensor>,
    input: toHost(fixture.input, dtype),
  };
  return [
    ...(await checkForward(subject)),
    ...(await checkStoppingRule(subject)),
    ...(await checkGradients(subject)),
    ...(await checkExactGradients(subject)),
  ];
}

/** The iterate that a solver returns, the layer's output from it, and its iterations. */
async function solveWith(
  { setting: { device }, layer, params, input }: Subject,
  solver: ParallelSolver,
): Promise<Readonly<Record<"y" | "out" | "iterations", HostTensor>>> {
  const run = (p: Params<Tracer>, x: Tracer): Record<"y" | "out" | "iterations", Tracer> => {
    const { problem, y0, theta, readout } = layer().parts(p, x);
    const { y, stats } = solver.solve(problem, y0, theta);
    return { y, out: readout(y).y, iterations: stats.iterations };
  };
  return device.get(await device.run(run, params, input));
}

async function checkForward(subject: Subject): Promise<Comparison[]> {
  const { fixture, kind, layer, params, input } = subject;
  const { device, exact } = subject.setting;
  const prepare = (p: Params<Tracer>, x: Tracer): Params<Tracer> => layer().parts(p, x).prepared;
  const prepared = await device.get(await device.run(prepare, params, input));
  const comparisons = Object.entries(kind.prepared).map(([theirs, ours]) =>
    compare(`prepared ${ours}`, prepared[ours]!, fixture.prepared[theirs]!),
  );
  for (const [name, expected] of Object.entries(fixture.picard_undamped)) {
    const sweeps = Number(name.replace("ell", ""));
    const { y, out } = await solveWith(subject, picard({ tol: 0, maxSteps: sweeps }));
    comparisons.push(compare(`${name} y`, y, expected.y), compare(`${name} out`, out, expected.out));
  }
  const { y, out } = await solveWith(subject, picard(exact));
  return [...comparisons, compare("ystar", y, fixture.ystar), compare("out", out, fixture.out)];
}

/** The authors' damping, patience and quantile: how many iterations, and which iterate comes back. */
async function checkStoppingRule(subject: Subject): Promise<Comparison[]> {
  const rule = subject.fixture["optimizer_thresh0.1"];
  const comparisons: Comparison[] = [];
  for (const { training, n_steps, y } of rule.runs) {
    const quantile = training ? 1 - rule.outlier_quantile : 1;
    const solver = picard({ tol: 0.1, maxSteps: 1000, step: rule.stepsize, decay: rule.ss_decay, quantile });
    const result = await solveWith(subject, solver);
    const what = training ? "training rule" : "evaluation rule";
    const steps = { shape: result.iterations.shape, data: Array.from(result.iterations.data, () => n_steps) };
    comparisons.push(compare(`${what} iterations`, result.iterations, steps), compare(`${what} y`, result.y, y));
  }
  return comparisons;
}

/** The authors' gradients: differentiable steps from the detached fixed point. */
async function checkGradients(subject: Subject): Promise<Comparison[]> {
  const { fixture, kind, setting } = subject;
  const { exact } = setting;
  return checkAdjoints(subject, [
    ["n1", fixture.backward_n1, { solver: picard(exact), adjoint: truncated({ steps: 1 }) }],
    ["n3", fixture.backward_n3, { solver: picard(exact), adjoint: truncated({ steps: 3 }) }],
    ...Object.entries(kind.likeOneStep(exact)).map(([what, choice]) => [what, fixture.backward_n1, choice] as const),
  ]);
}
