/**
 * The selective scan of Mamba: a diagonal recurrence on a matrix per sequence, driven by per-step dt, B and C. The matrix
 * is kept as [state, channel]: neighbours in memory are channels, which all do the same, and never have to be added up.
 */
import { linearRecurrence, nn, type Tracer } from "@banach/autograd";

export interface SelectiveScanInputs {
  /** Input, [batch, time, channel]. */
  readonly u: Tracer;
  /** Raw step sizes before the softplus, [batch, time, channel]. */
  readonly delta: Tracer;
  /** A = -exp(A_log), [channel, state]. */
  readonly aLog: Tracer;
  /** [batch, time, state], shared by all channels. */
  readonly b: Tracer;
  /** [batch, time, state], shared by all channels. */
  readonly c: Tracer;
  /** Weight of the skip connection, [channel]. */
  readonly d: Tracer;
  /** Added to delta, [channel]. */
  readonly deltaBias: Tracer;
  /** Gate: the result is multiplied by silu(z), [batch, time, channel]. */
  readonly z?: Tracer;
}

/**
 * H_t = exp(dt_t A) H_{t-1} + (dt_t u_t) (x) B_t with dt = softplus(delta + deltaBias); out_t = H_t C_t + d u_t, times
 * silu(z_t) if there is a gate (A. Gu and T. Dao, "Mamba", 2023, section 3.2). [batch, time, channel] -> the same.
 */
export function selectiveScan({ u, delta, aLog, b, c, d, deltaBias, z }: SelectiveScanInputs): Tracer {
  const dt = nn.softplus(delta.add(deltaBias));
  const a = aLog.exp().neg().transpose();
  const out = readStates(scanStates({ u, dt, a, b }), c).add(u.mul(d));
  return z === undefined ? out : out.mul(nn.silu(z));
}

/** The parameters that steps are selected by; see MambaParams. */
export interface SelectionParams {
  readonly x_proj: nn.LinearParams<Tracer>;
  readonly dt_proj: nn.LinearParams<Tracer>;
}

/**
 * What x [batch, time, D] decides about each step, with [r, B, C] = W_x x: dt [batch, time, D] is the softplus of `raw`, W_dt r
 * + bias, and `bc` [batch, time, 2N] is B and C side by side.
 */
export function selectSteps(
  params: SelectionParams,
  x: Tracer,
  dState: number,
): { readonly raw: Tracer; readonly bc: Tracer } {
  const selected = nn.linear.apply(params.x_proj, x);
  const rank = selected.dim(-1) - 2 * dState;
  return {
    raw: nn.linear.apply(params.dt_proj, selected.sliceAxis(-1, 0, rank)),
    bc: selected.sliceAxis(-1, rank, selected.dim(-1)),
  };
}

export interface ScanStatesInputs {
  /** [batch, time, channel]. */
  readonly u: Tracer;
  /** Positive step sizes, [batch, time, channel]. */
  readonly dt: Tracer;
  /** A itself, [state, channel]. */
  readonly a: Tracer;
  /** [batch, time, state]. */
  readonly b: Tracer;
  /** H before the first step, [batch, state, channel]; default 0. */
  readonly initial?: Tracer;
}

/** H_t = exp(dt_t A) H_{t-1} + (dt_t u_t) (x) B_t at every step, [batch, time, state, channel]. */
export function scanStates({ u, dt, a, b, initial }: ScanStatesInputs): Tracer {
  const decay = dt.expandDims(2).mul(a).exp();
  const drive = dt.mul(u).expandDims(2).mul(b.expandDims(-1));
  return linearRecurrence(decay, startFrom(drive, decay, initial), { axis: 1 });
}

/**
 * The drive of a recurrence over axis 1 of [batch, time, state, channel] that goes on from `initial` [batch, state, channel],
 * or from 0: what the first step inherits is added to it, padded rather than joined, so that it can be fused with it.
 */
export function startFrom(drive: Tracer, decay: Tracer, initial: Tracer | undefined): Tracer {
  if (initial === undefined) return drive;
  const inherited = decay.sliceAxis(1, 0, 1).mul(initial.expandDims(1));
  const none = [0, 0] as const;
  return drive.add(inherited.pad([none, [0, drive.dim(1) - 1], none, none]));
}

/** H C: [..., state, channel] and [..., state] -> [..., channel]. */
export function readStates(h: Tracer, c: Tracer): Tracer {
  return h.mul(c.expandDims(-1)).sum({ axes: -2 });
}
