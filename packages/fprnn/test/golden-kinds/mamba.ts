/** Fixtures of kind "Mamba": the diagonal layer, its output and its gradients. */
import { type HostTensor, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { mamba, type MambaParams } from "../../src/index.ts";
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
  toHost,
} from "./fixture.ts";

interface MambaConfig {
  readonly d_model: number;
  readonly d_state?: number;
  readonly expand?: number;
  readonly short_conv?: boolean;
}

interface MambaFixture {
  readonly config: MambaConfig;
  readonly params: Tensors;
  readonly input: FixtureTensor;
  readonly cotangent: FixtureTensor;
  readonly out: FixtureTensor;
  readonly loss: number;
  readonly grads: Tensors;
}

interface Differentiated<T> extends MambaParams<T> {
  readonly input: T;
}

export function mambaIsBuilt(fixture: Fixture): boolean {
  return (fixture as unknown as Partial<MambaFixture>).config !== undefined;
}

export async function checkMamba({ device, dtype }: Setting, raw: Fixture): Promise<Comparison[]> {
  const fixture = raw as unknown as MambaFixture;
  const { d_model: dModel, d_state: dState = 16, expand = 2, short_conv: shortConv = false } = fixture.config;
  const layer = mamba({ dModel, dState, expand, shortConv, dtype });
  const run = valueAndGrad(({ input, ...params }: Differentiated<Tracer>, cotangent: Tracer) => {
    const { y } = layer.apply(params, input);
    return { loss: y.mul(cotangent).sum(), y };
  });
  const params = nest(hostTensors(fixture.params, dtype)) as MambaParams<HostTensor>;
  const differentiated = { ...params, input: toHost(fixture.input, dtype) };
  const { value, grad } = await device.get(await device.run(run, differentiated, toHost(fixture.cotangent, dtype)));
  return [
    compare("out", value.y, fixture.out),
    compare("loss", value.loss, fixture.loss),
    ...compareAll("gradient", treeLeaves<HostTensor>(grad), fixture.grads),
  ];
}
