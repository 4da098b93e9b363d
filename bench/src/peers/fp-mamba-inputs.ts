/** The model of the FP-Mamba rows as plain matrices, for frameworks that know nothing of it. */
import type { HostTensor, MapTree, Tracer } from "@banach/autograd";
import { type Params, prepared, usualIterations } from "../fp-mamba.ts";
import type { Input, WorkOf } from "../work.ts";

/** Weights are [in, out], ready for a product; weight-normalised ones are multiplied out. */
export interface FpMambaInputs {
  readonly embedding: Input;
  readonly before: Input;
  readonly after: Input;
  readonly inProj: Input;
  readonly xProj: Input;
  readonly dtProj: Input;
  readonly dtBias: Input;
  /** From x to directions and strengths of the mixer side by side. */
  readonly mixer: Input;
  readonly mixerBias: Input;
  /** From y_{t-1} to the same, B and C. */
  readonly hidden: Input;
  /** A, [N, D]. */
  readonly a: Input;
  readonly skip: Input;
  readonly normWeight: Input;
  readonly normBias: Input;
  readonly gate: Input;
  readonly outProj: Input;
}

export interface FpMambaGiven {
  readonly inputs: FpMambaInputs;
  /** Tokens, [batch, time]. */
  readonly ids: Int32Array;
  readonly sizes: {
    readonly batch: number;
    readonly time: number;
    readonly features: number;
    readonly channels: number;
    readonly state: number;
    readonly rank: number;
    /** Of what dt is made of. */
    readonly dtRank: number;
  };
  readonly gain: number;
  /** At each step of time: as many as ours takes in the mean over the batch, at each sequence's slowest step. */
  readonly iterations: number;
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array<ArrayBuffer>;
}

type Host = MapTree<Params, Tracer, HostTensor>;

export async function fpMambaGiven(work: WorkOf<"fp-mamba">): Promise<FpMambaGiven> {
  const { plan, state, words } = await prepared(work);
  if (plan.model.kind !== "fp-mamba" || plan.model.mixer.kind !== "householder") throw new Error("not an FP-Mamba");
  const { rank, gain } = plan.model.mixer;
  const { embedding, blocks, norms, norm_f: after } = state.params as Host;
  const [block, before] = [blocks[0], norms[0]];
  if (block?.bc_y_proj === undefined || block.z_y_proj === undefined || before === undefined) {
    throw new Error("the model is no longer one layer whose B, C and gate depend on y");
  }
  const { u_proj: directions, alpha_proj: strengths } = block.mixer;
  if (!("v" in directions)) throw new Error("the mixer has a bottleneck");
  const aLog = matrix(block.A_log);
  const channels = aLog.rows;
  const mixer = stack([normalised(directions), normalised(strengths)]);
  const bias = numbers(strengths.bias);
  const mixerBias = new Float32Array(mixer.rows);
  mixerBias.set(bias, mixer.rows - bias.length);
  const halves = [columns(mixer, 0, channels), columns(mixer, channels, 2 * channels)] as const;
  const minusExp: Matrix = { ...aLog, data: aLog.data.map((x) => -Math.exp(x)) };
  const dtProj = matrix(block.dt_proj.weight);
  return {
    inputs: {
      embedding: plain(matrix(embedding.weight)),
      before: vector(before.weight),
      after: vector(after.weight),
      inProj: turned(matrix(block.in_proj.weight)),
      xProj: turned(matrix(block.x_proj.weight)),
      dtProj: turned(dtProj),
      dtBias: vector(block.dt_proj.bias),
      mixer: turned(halves[0]),
      mixerBias: { shape: [mixer.rows], data: mixerBias },
      hidden: turned(stack([halves[1], normalised(block.bc_y_proj)])),
      a: turned(minusExp),
      skip: vector(block.D),
      normWeight: vector(block.out_norm.weight),
      normBias: vector(block.out_norm.bias),
      gate: turned(normalised(block.z_y_proj)),
      outProj: turned(matrix(block.out_proj.weight)),
    },
    ids: Int32Array.from(words.inputs.data),
    sizes: {
      batch: work.batch,
      time: work.time,
      features: plan.model.dModel,
      channels,
      state: aLog.columns,
      rank,
      dtRank: dtProj.columns,
    },
    gain,
    iterations: Math.max(1, Math.round(await usualIterations(work))),
  };
}

const numbers = (tensor: HostTensor | undefined): Float32Array<ArrayBuffer> => {
  if (tensor === undefined) throw new Error("a parameter of the model is missing");
  return Float32Array.from(tensor.data);
};

function matrix(tensor: HostTensor): Matrix {
  const [rows = 1, width = 1] = tensor.shape;
  return { rows, columns: width, data: numbers(tensor) };
}

function vector(tensor: HostTensor | undefined): Input {
  const data = numbers(tensor);
  return { shape: [data.length], data };
}

const plain = ({ rows, columns: width, data }: Matrix): Input => ({ shape: [rows, width], data });

function turned({ rows, columns: width, data }: Matrix): Input {
  const result = new Float32Array(data.length);
  data.forEach((value, i) => {
    result[(i % width) * rows + Math.floor(i / width)] = value;
  });
  return { shape: [width, rows], data: result };
}

/** g v / ||v||, row by row. */
function normalised({ v, g }: { readonly v: HostTensor; readonly g: HostTensor }): Matrix {
  const { rows, columns: width, data } = matrix(v);
  const factors = numbers(g);
  return {
    rows,
    columns: width,
    data: data.map((value, i) => {
      const row = Math.floor(i / width);
      const length = Math.hypot(...data.subarray(row * width, (row + 1) * width));
      return (value * (factors[row] ?? Number.NaN)) / length;
    }),
  };
}

function stack(parts: readonly Matrix[]): Matrix {
  const [first] = parts;
  if (first === undefined) throw new RangeError("there is nothing to stack");
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { rows: data.length / first.columns, columns: first.columns, data };
}

function columns({ rows, columns: width, data }: Matrix, from: number, to: number): Matrix {
  const kept = data.filter((_, i) => i % width >= from && i % width < to);
  return { rows, columns: to - from, data: kept };
}
