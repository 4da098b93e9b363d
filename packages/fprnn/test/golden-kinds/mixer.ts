/** Fixtures of kind "mixer": a mixer applied to given arguments, its dense matrix and its gradients. */
import { type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { dplr, householder, type HouseholderOptions, kronecker, type Mixer } from "../../src/index.ts";
import {
  compare,
  compareAll,
  type Comparison,
  type Fixture,
  type FixtureTensor,
  hostTensors,
  nest,
  type Setting,
  type Tensors,
} from "./fixture.ts";

export interface MixerConfig {
  readonly mixer: string;
  readonly rank?: number;
  readonly ac?: "silu" | "identity";
  readonly proj_rank?: number;
  readonly eps?: number;
  /** Of a Kronecker mixer; in the configuration of a layer it is called kron_norm. */
  readonly normalization?: string;
  readonly kron_norm?: string;
}

interface MixerFixture {
  readonly config: MixerConfig;
  readonly params: Tensors;
  readonly param_arg: FixtureTensor;
  readonly input_arg: FixtureTensor;
  readonly output: FixtureTensor;
  readonly cotangent: FixtureTensor;
  readonly loss: number;
  readonly intermediates: { readonly Q_dense: FixtureTensor };
  readonly grads: Tensors;
}

/** The authors' mixers: gain 2. */
const MIXERS: Readonly<Record<string, (config: MixerConfig, options: HouseholderOptions) => Mixer>> = {
  householder: ({ rank = 1 }, options) => householder({ ...options, rank }),
  dplr: ({ rank = 1 }, options) => dplr({ ...options, rank }),
  kronecker: ({ normalization, kron_norm }, options) =>
    kronecker({ ...options, normalisation: normalisationOf(kron_norm ?? normalization) }),
};

/** Of a mixer on its own; layers of a kind have their own default. */
function normalisationOf(theirs = "column-wise"): "column" | "spectral" {
  if (theirs === "spectral") return theirs;
  if (theirs === "column-wise") return "column";
  throw new RangeError(`golden: no normalisation is called ${theirs}`);
}

export function mixerIsBuilt(config: MixerConfig | undefined): boolean {
  return config !== undefined && Object.hasOwn(MIXERS, config.mixer);
}

export function goldenMixer(config: MixerConfig): Mixer {
  const { mixer, ac = "silu", proj_rank = -1, eps } = config;
  const options: HouseholderOptions = { gain: 2, activation: ac, ...(eps === undefined ? {} : { eps }) };
  return MIXERS[mixer]!(config, proj_rank > 0 ? { ...options, projectionRank: proj_rank } : options);
}

export async function checkMixer({ device, dtype }: Setting, raw: Fixture): Promise<Comparison[]> {
  const fixture = raw as unknown as MixerFixture;
  const mixer = goldenMixer(fixture.config);
  const apply = (params: unknown, argument: Tracer, x: Tracer): Tracer => {
    const { input, weights } = mixer.bind(params, argument, "input");
    return mixer.apply(mixer.at(input, weights), x);
  };
  const run = valueAndGrad(
    (
      { params, param_arg, input_arg }: { params: unknown; param_arg: Tracer; input_arg: Tracer },
      cotangent: Tracer,
    ) => {
      const output = apply(params, param_arg, input_arg);
      return { loss: output.mul(cotangent).sum(), output };
    },
  );
  const dense = (params: unknown, argument: Tracer, units: Tracer): Tracer =>
    apply(
      params,
      argument.expandDims(2).broadcastTo([argument.dim(0), argument.dim(1), units.dim(-1), argument.dim(2)]),
      units,
    ).transpose([0, 1, 3, 2]);

  const params = nest(hostTensors(fixture.params, dtype)) as never;
  const tensors = {
    param_arg: fixture.param_arg,
    input_arg: fixture.input_arg,
    cotangent: fixture.cotangent,
    units: unitVectors(fixture.input_arg.shape),
  };
  const { param_arg, input_arg, cotangent, units } = hostTensors(tensors, dtype);
  const result = await device.get(await device.run(run, { params, param_arg, input_arg } as never, cotangent!));
  const matrix = await device.get(await device.run(dense, params, param_arg!, units!));
  const { params: paramGrads, ...argumentGrads } = result.grad;
  return [
    compare("output", result.value.output, fixture.output),
    compare("loss", result.value.loss, fixture.loss),
    compare("Q", matrix, fixture.intermediates.Q_dense),
    ...compareAll(
      "gradient",
      [...treeLeaves(paramGrads as never), ...treeLeaves(argumentGrads as never)] as never,
      fixture.grads,
    ),
  ];
}

/** Every unit vector of the channel axis, at each position: [batch, time, D, D]. */
function unitVectors([batch = 1, time = 1, size = 1]: readonly number[]): FixtureTensor {
  const data = Array.from({ length: batch * time * size * size }, (_, i) =>
    i % size === Math.floor(i / size) % size ? 1 : 0,
  );
  return { shape: [batch, time, size, size], data };
}
