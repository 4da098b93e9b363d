/** FP-Mamba-2 in plain loops over numbers, from its equations: nothing here is shared with the layer. One sequence. */
import type { HostTensor } from "@banach/autograd";
import type { FpMamba2Params, HouseholderParams } from "../../src/index.ts";

type Row = number[];
type Matrix = Row[];

export interface LoopOptions {
  readonly headDim: number;
  readonly dState: number;
  readonly gluInLoop: boolean;
  readonly gating: "once" | "authors";
  /** Whether dt depends on y. */
  readonly lambda: boolean;
  readonly shortConv: boolean;
}

const EPS = 1e-5;
const sigmoid = (a: number): number => 1 / (1 + Math.exp(-a));
const silu = (a: number): number => a * sigmoid(a);
const dot = (a: Row, b: Row): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const times = (weight: Matrix, x: Row): Row => weight.map((row) => dot(row, x));
const unit = (x: Row): Row => x.map((value) => value / Math.max(Math.sqrt(dot(x, x)), EPS));
const matrix = (x: HostTensor): Matrix => x.toNested() as Matrix;

/** g v / |v|, row by row. */
const weightNorm = ({ v, g }: { readonly v: HostTensor; readonly g: HostTensor }): Matrix => {
  const scales = g.data;
  return matrix(v).map((row, i) => row.map((value) => (value * scales[i]!) / Math.sqrt(dot(row, row))));
};

/** The map at y [time][D], and the layer's output [time][dModel] if y were the fixed point. */
export function loops(
  params: FpMamba2Params<HostTensor, HouseholderParams<HostTensor>>,
  u: Matrix,
  y: Matrix,
  { headDim, dState, gluInLoop, gating, lambda, shortConv }: LoopOptions,
): { readonly next: Matrix; readonly out: Matrix } {
  const channels = y[0]!.length;
  const projected = u.map((row) => times(matrix(params.in_proj.weight), row));
  const xbc = (t: number): Row => {
    const raw = (at: number): Row => projected[at]!.slice(channels, 2 * channels + 2 * dState);
    if (!shortConv) return raw(t);
    const taps = params.conv1d!.weight.toNested() as number[][][];
    return raw(t).map((_, i) => {
      let sum = params.conv1d!.bias.data[i]!;
      for (let k = 0; k < 4; k++) if (t - 3 + k >= 0) sum += taps[i]![0]![k]! * raw(t - 3 + k)[i]!;
      return silu(sum);
    });
  };
  const state: Matrix = Array.from({ length: dState }, () => new Array<number>(channels).fill(0));
  const next: Matrix = [];
  const out: Matrix = [];
  for (let t = 0; t < u.length; t++) {
    const before = t === 0 ? new Array<number>(channels).fill(0) : y[t - 1]!;
    const z = projected[t]!.slice(0, channels);
    const all = xbc(t);
    const x = all.slice(0, channels);
    const fromY = times(weightNorm(params.bc_y_proj!), before);
    const bc = all.slice(channels).map((value, i) => value + fromY[i]!);
    const [b, c] = [unit(bc.slice(0, dState)), unit(bc.slice(dState))];
    const stepsFromY = lambda ? times(weightNorm(params.dt_y_proj!), before) : [];
    const dt = projected[t]!.slice(2 * channels + 2 * dState).map((raw, h) =>
      Math.log1p(Math.exp(raw + params.dt_bias.data[h]! + (stepsFromY[h] ?? 0))),
    );

    // Householder of rank 1 and gain 1: Q v = v - alpha a (a . v).
    const argument = [...x, ...before];
    const mixer = params.mixer as unknown as Record<"u_proj" | "alpha_proj", Record<"v" | "g" | "bias", HostTensor>>;
    const direction = unit(times(weightNorm(mixer.u_proj), argument).map(silu));
    const alpha = sigmoid(times(weightNorm(mixer.alpha_proj), argument)[0]! + mixer.alpha_proj.bias.data[0]!);
    const difference = x.map((value, i) => value - y[t]![i]!);
    const strength = alpha * dot(direction, difference);
    const mixed = difference.map((value, i) => value - strength * direction[i]! + y[t]![i]!);

    const scanned = mixed.map((value, d) => {
      const head = Math.floor(d / headDim);
      const decay = Math.exp(-dt[head]! * Math.exp(params.A_log.data[head]!));
      let sum = params.D.data[head]! * value;
      for (let n = 0; n < dState; n++) {
        state[n]![d] = decay * state[n]![d]! + dt[head]! * value * b[n]!;
        sum += c[n]! * state[n]![d]!;
      }
      return sum;
    });
    const inside = Number(gluInLoop) + Number(gating === "authors");
    const gated = scanned.map((value, d) => value * silu(z[d]!) ** inside);
    const size = Math.sqrt(dot(gated, gated) / channels + EPS);
    next.push(gated.map((value, d) => (value / size) * params.norm.weight.data[d]!));

    const zFromY = gluInLoop ? [] : times(weightNorm(params.z_y_proj!), before);
    const final = y[t]!.map((value, d) => (gluInLoop ? value : value * silu(z[d]! + zFromY[d]!)));
    out.push(times(matrix(params.out_proj.weight), final));
  }
  return { next, out };
}
