/** The blocks of language models, which fixtures do not describe: they follow from names and shapes of parameters. */
import { fpMamba, fpRnn, type Layer, mamba, picard } from "../../src/index.ts";
import type { FixtureTensor, Setting, Tensors } from "./fixture.ts";
import { goldenMixer, type MixerConfig, mixerIsBuilt } from "./mixer.ts";

/** Each block's parameters by their names within the block. */
export function blocksOf(params: Tensors): readonly Tensors[] {
  const blocks: Record<string, FixtureTensor>[] = [];
  for (const [name, tensor] of Object.entries(params)) {
    const [, index, rest] = /^blocks\.(\d+)\.(.*)$/.exec(name) ?? [];
    if (index !== undefined && rest !== undefined) (blocks[Number(index)] ??= {})[rest] = tensor;
  }
  return blocks;
}

/** An FP-RNN has lambda_proj, the Mamba family A_log; what has a mixer is a fixed point. */
export function blockIsBuilt(params: Tensors): boolean {
  if (hasPart(params, "mixer")) return mixerIsBuilt(mixerOf(params)) && channelsOf(params) !== undefined;
  return params["A_log"] !== undefined;
}

/** The layer with such parameters, solved to the end. */
export function blockOf(params: Tensors, dModel: number, { dtype, exact }: Setting): Layer {
  const sizes = { dModel, expand: channelsOf(params)! / dModel, shortConv: hasPart(params, "conv1d"), dtype };
  const dState = params["A_log"]?.shape[1] ?? 0;
  if (!hasPart(params, "mixer")) return mamba({ ...sizes, dState });
  const mixer = goldenMixer(mixerOf(params));
  const options = { ...sizes, mixer, solver: picard(exact), eps: EPS };
  if (params["A_log"] === undefined) return fpRnn(options);
  return fpMamba({ ...options, dState, gluInLoop: !hasPart(params, "z_y_proj") });
}

/** Of the blocks; the wrapper has its own. */
const EPS = 1e-6;

/** A reflection mixer has alpha_proj, a Kronecker mixer diag, which FP-RNN normalises in its own way. */
function mixerOf(params: Tensors): MixerConfig {
  const strengths = params["mixer.alpha_proj.bias"];
  if (strengths !== undefined) return { mixer: "householder", rank: strengths.shape[0]!, eps: EPS };
  if (params["mixer.diag.bias"] === undefined) return { mixer: "unknown" };
  return { mixer: "kronecker", normalization: params["A_log"] === undefined ? "spectral" : "column-wise", eps: EPS };
}

function channelsOf(params: Tensors): number | undefined {
  return (params["lambda_proj.bias"] ?? params["A_log"])?.shape[0];
}

function hasPart(params: Tensors, part: string): boolean {
  return Object.keys(params).some((name) => name.startsWith(part));
}
