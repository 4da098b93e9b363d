/** The model that a golden fixture describes, whatever it is: parameters to start from, and the output that is expected. */
/* eslint-disable import-x/no-relative-packages -- fixtures and what reads them are among the tests of fprnn, which it does not export */
import { array, type Device, type HostTensor, key, type Tracer } from "@banach/autograd";
import { fpMamba, fpRnn, languageModel, type Layer, mamba, picard } from "@banach/fprnn";
import {
  type Fixture,
  type FixtureTensor,
  type FloatType,
  type Setting,
  type Tensors,
  toHost,
} from "../../../fprnn/test/golden-kinds/fixture.ts";
import type { LayerConfig } from "../../../fprnn/test/golden-kinds/layer.ts";
import { blockOf, blocksOf } from "../../../fprnn/test/golden-kinds/lm-blocks.ts";
import { goldenMixer } from "../../../fprnn/test/golden-kinds/mixer.ts";
import { settingOn } from "../../../fprnn/test/golden-kinds/settings.ts";

export interface GoldenModel {
  /** The fixture's parameters under the authors' names. */
  readonly params: Tensors;
  readonly expected: FixtureTensor;
  /** Ours, drawn from a key. */
  readonly init: () => unknown;
  readonly run: (params: unknown) => Promise<HostTensor>;
}

interface Parts {
  readonly kind: string;
  readonly config: LayerConfig & { readonly d: number; readonly param_in: number };
  readonly params: Tensors;
  readonly input: FixtureTensor;
  readonly param_arg: FixtureTensor;
  readonly input_arg: FixtureTensor;
  readonly output: FixtureTensor;
  readonly out: FixtureTensor;
  readonly ids: readonly (readonly number[])[];
  readonly vocab: number;
  readonly d_model: number;
  readonly norm_eps: number;
  readonly logits: FixtureTensor;
}

/** Null for a fixture that has no parameters. */
export function goldenModel(device: Device, fixture: Fixture, dtype: FloatType): GoldenModel | null {
  const parts = fixture as unknown as Parts;
  const { params } = parts;
  const on = settingOn(device, dtype);
  switch (parts.kind) {
    case "primitive":
      return null;
    case "mixer": {
      const { config, param_arg, input_arg, output: expected } = parts;
      const mixer = goldenMixer(config);
      const apply = (p: unknown, argument: Tracer, x: Tracer): Tracer => {
        const { input, weights } = mixer.bind(p, argument, "input");
        return mixer.apply(mixer.at(input, weights), x);
      };
      return {
        params,
        expected,
        init: () => mixer.init(key(7), { channels: config.d, argument: config.param_in, dtype }),
        run: async (p) => device.get(await device.run(apply, p, toHost(param_arg, dtype), toHost(input_arg, dtype))),
      };
    }
    case "LM": {
      const { vocab: vocabulary, d_model: dModel, norm_eps: eps, ids, logits: expected } = parts;
      const layers = blocksOf(params).map((block) => blockOf(block, dModel, on));
      const model = languageModel({ vocabulary, dModel, layers, eps, dtype });
      const apply = (p: unknown, x: Tracer): Tracer => model.apply(p as never, x).logits;
      return {
        params,
        expected,
        init: () => model.init(key(7)),
        run: async (p) => device.get(await device.run(apply, p, array(ids, { dtype: "int32" }))),
      };
    }
    default: {
      const layer = layerOf(parts, on);
      const apply = (p: unknown, x: Tracer): Tracer => layer.apply(p, x).y;
      return {
        params,
        expected: parts.out,
        init: () => layer.init(key(7)),
        run: async (p) => device.get(await device.run(apply, p, toHost(parts.input, dtype))),
      };
    }
  }
}

function layerOf({ kind, config }: Parts, { dtype, exact }: Setting): Layer {
  const { d_model: dModel, d_state: dState = 16, expand = 2, short_conv: shortConv = false } = config;
  const { symm = false, h_dep = true, eps = 1e-5, bc_norm: bcNorm = true, glu_in_loop: gluInLoop = false } = config;
  const sizes = { dModel, expand, shortConv, dtype };
  if (kind === "Mamba") return mamba({ ...sizes, dState });
  const normalization = kind === "FPRNN" ? "spectral" : "column-wise";
  const mixer = goldenMixer({ normalization, ...config, eps });
  const argument = h_dep ? (symm ? "symmetric" : "concatenated") : "input";
  const shared = { ...sizes, mixer, argument, eps, solver: picard(exact) } as const;
  if (kind === "FPRNN") return fpRnn(shared);
  if (kind === "FPMamba") return fpMamba({ ...shared, dState, bcNorm, gluInLoop });
  throw new RangeError(`golden: no layer is called ${kind}`);
}
