/** The selective scan of Mamba: a diagonal recurrence on a [channel, state] matrix, driven by per-step dt, B and C. */
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
  const decay = dt.expandDims(-1).mul(aLog.exp().neg()).exp();
  const drive = dt.mul(u).expandDims(-1).mul(b.expandDims(2));
  const h = linearRecurrence(decay, drive, { axis: 1 });
  const out = h.mul(c.expandDims(2)).sum({ axes: -1 }).add(u.mul(d));
  return z === undefined ? out : out.mul(nn.silu(z));
}
