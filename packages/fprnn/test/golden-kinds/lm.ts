/** Fixtures of kind "LM": whole language models, their losses, gradients and optimiser steps. */
import { array, type HostTensor, nn, optim, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { languageModel, type LanguageModelParams } from "../../src/index.ts";
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
import { blockIsBuilt, blockOf, blocksOf } from "./lm-blocks.ts";

type Params<T> = LanguageModelParams<T>;
type State<T> = optim.OptimizerState<Params<T>>;

interface LmFixture {
  readonly params: Tensors;
  readonly ids: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  readonly vocab: number;
  readonly d_model: number;
  readonly norm_eps: number;
  readonly adamw: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly grad_clip_global_l2: number;
  };
  readonly logits: FixtureTensor;
  readonly loss: number;
  readonly grads: Tensors;
  readonly grad_norm_before_clip: number;
  readonly params_after_1_step: Tensors;
  readonly losses_3_steps: readonly number[];
  readonly params_after_3_steps: Tensors;
}

export function lmIsBuilt(fixture: Fixture): boolean {
  return blocksOf((fixture as unknown as LmFixture).params).every(blockIsBuilt);
}

export async function checkLm(setting: Setting, raw: Fixture): Promise<Comparison[]> {
  const { device, dtype } = setting;
  const fixture = raw as unknown as LmFixture;
  const { params: named, d_model: dModel, vocab: vocabulary, norm_eps: eps, adamw } = fixture;
  const layers = blocksOf(named).map((block) => blockOf(block, dModel, setting));
  const model = languageModel({ vocabulary, dModel, layers, eps, dtype });
  const optimizer = optim.adamw({
    learningRate: adamw.lr,
    betas: adamw.betas,
    eps: adamw.eps,
    weightDecay: adamw.weight_decay,
    decay: optim.decayAllButNorms,
  });
  const lossAndGrad = valueAndGrad((params: Params<Tracer>, ids: Tracer, labels: Tracer) => {
    const { logits } = model.apply(params, ids);
    return { loss: nn.softmaxCrossEntropy(logits, labels), logits };
  });
  const step = (params: Params<Tracer>, state: State<Tracer>, ids: Tracer, labels: Tracer) => {
    const { value, grad } = lossAndGrad(params, ids, labels);
    const { grads, norm } = optim.clipByGlobalNorm(grad, adamw.grad_clip_global_l2);
    return { ...value, grad: grad as Params<Tracer>, norm, ...optimizer.update(grads, state, params) };
  };

  const [ids, labels] = [array(fixture.ids, { dtype: "int32" }), array(fixture.labels, { dtype: "int32" })];
  let params = nest(hostTensors(named, dtype)) as Params<HostTensor>;
  let state = optimizer.init(params) as State<HostTensor>;
  const comparisons: Comparison[] = [];
  for (const [i, expectedLoss] of fixture.losses_3_steps.entries()) {
    const result = await device.get(await device.run(step, params, state, ids, labels));
    comparisons.push(compare(`loss ${i}`, result.loss, expectedLoss));
    if (i === 0) {
      comparisons.push(
        compare("logits", result.logits, fixture.logits),
        compare("loss", result.loss, fixture.loss),
        compare("gradient norm", result.norm, fixture.grad_norm_before_clip),
        ...compareAll("gradient", treeLeaves<HostTensor>(result.grad as never), fixture.grads),
        ...compareAll("after 1 step", treeLeaves<HostTensor>(result.params as never), fixture.params_after_1_step),
      );
    }
    params = result.params;
    state = result.state;
  }
  return [
    ...comparisons,
    ...compareAll("after 3 steps", treeLeaves<HostTensor>(params as never), fixture.params_after_3_steps),
  ];
}
