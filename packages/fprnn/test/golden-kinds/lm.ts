/** Fixtures of kind "LM": whole language models, their losses, gradients and optimiser steps. */
import { array, type HostTensor, nn, optim, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import {
  fpRnn,
  type FpRnnParams,
  type HouseholderParams,
  languageModel,
  type LanguageModelParams,
  picard,
} from "../../src/index.ts";
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
import { goldenMixer } from "./mixer.ts";

type Params<T> = LanguageModelParams<T, FpRnnParams<T, HouseholderParams<T>>>;
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

/** The mixer and the sizes follow from names and shapes: an FP-RNN has lambda_proj, a reflection mixer alpha_proj. */
export function lmIsBuilt(fixture: Fixture): boolean {
  const names = Object.keys((fixture as unknown as LmFixture).params);
  return names.includes("blocks.0.lambda_proj.weight") && names.includes("blocks.0.mixer.alpha_proj.v");
}

export async function checkLm({ device, dtype, exact }: Setting, raw: Fixture): Promise<Comparison[]> {
  const fixture = raw as unknown as LmFixture;
  const { params: named, d_model: dModel, vocab: vocabulary, norm_eps: eps, adamw } = fixture;
  const channels = named["blocks.0.lambda_proj.bias"]!.shape[0]!;
  const rank = named["blocks.0.mixer.alpha_proj.bias"]!.shape[0]!;
  const blocks = new Set(Object.keys(named).flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? []));
  const layer = fpRnn({
    dModel,
    expand: channels / dModel,
    mixer: goldenMixer({ mixer: "householder", rank, eps: 1e-6 }),
    solver: picard(exact),
    eps: 1e-6,
    dtype,
  });
  const model = languageModel({ vocabulary, dModel, layers: Array.from(blocks, () => layer), eps, dtype });
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
        ...compareAll("gradient", treeLeaves<HostTensor>(result.grad), fixture.grads),
        ...compareAll("after 1 step", treeLeaves<HostTensor>(result.params), fixture.params_after_1_step),
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
