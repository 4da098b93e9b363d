/**
 * The scan of Mamba-2, whose decay is one number per head, in chunks: matrix products within a chunk, a recurrence between
 * chunks. T. Dao and A. Gu, "Transformers are SSMs" (2024, arXiv 2405.21060), section 6.
 */
import { ArgumentError, iota, linearRecurrence, type Tracer } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import { startFrom } from "./selective-scan.ts";

export interface ChunkedScanInputs {
  /** [batch, time, heads * headDim]: the channels of one head are neighbours. */
  readonly u: Tracer;
  /** Positive step sizes, [batch, time, heads]. */
  readonly dt: Tracer;
  /** A itself, negative, [heads]. */
  readonly a: Tracer;
  /** [batch, time, state], shared by all heads. */
  readonly b: Tracer;
  /** [batch, time, state], shared by all heads. */
  readonly c: Tracer;
  /** H before the first step, [batch, state, heads * headDim]; default 0. */
  readonly initial?: Tracer;
  /** Most steps in a chunk. A sequence is cut into as few chunks as that allows, all of one length but for the last. */
  readonly chunk: number;
}

export interface ChunkedScan {
  /** H_t C_t, [batch, time, heads * headDim]. */
  readonly out: Tracer;
  /** H after the last step, [batch, state, heads * headDim]. */
  readonly last: Tracer;
}

/**
 * H_t = exp(dt_t A) H_{t-1} + (dt_t u_t) (x) B_t and out_t = H_t C_t, as `selectiveScan` has them, with one dt and one A per
 * head. Within a chunk out = ((C B^T) * L) (dt u), where L[i, j] is the product of the decays after step j up to step i, as
 * of attention; what a chunk inherits comes in through the H that the one before ends with. The result does not depend on
 * the chunk, but for rounding. The largest array is L, [batch, chunks, heads, chunk, chunk]; no array is over time and
 * states. Throws ArgumentError unless chunk is a positive integer and the channels are as many for every head.
 */
export function chunkedScan({ u, dt, a, b, c, initial, chunk }: ChunkedScanInputs): ChunkedScan {
  requirePositiveInteger("chunkedScan: chunk", chunk);
  const [batch, time, channels, heads] = [u.dim(0), u.dim(1), u.dim(2), dt.dim(2)];
  if (channels % heads !== 0) {
    throw new ArgumentError(`chunkedScan: ${channels} channels are not a multiple of ${heads} heads`);
  }
  const headDim = channels / heads;
  const count = Math.ceil(time / chunk);
  const size = Math.ceil(time / count);
  const cut = (x: Tracer): Tracer => inChunks(x, count, size);
  // Steps that fill up the last chunk keep H as it is: their dt is 0.
  const drive = cut(repeatChannels(dt, headDim).mul(u));
  const [cutB, cutC] = [cut(b), cut(c)];
  const decay = cut(dt.mul(a)).exp().transpose([0, 1, 3, 2]);

  // A recurrence of decays instead of exp(sum - sum): differences of sums lose digits where the sums are large.
  const between = linearRecurrence(decay.expandDims(-1), identity(size, u.dtype), { axis: 3 });
  const scores = cutC.dotGeneral(cutB, {
    contracting: [[3], [3]],
    batch: [
      [0, 1],
      [0, 1],
    ],
  });
  const byHead = drive.reshape([batch, count, size, heads, headDim]).transpose([0, 1, 3, 2, 4]);
  const within = between.mul(scores.expandDims(2)).dotGeneral(byHead, {
    contracting: [[4], [3]],
    batch: [
      [0, 1, 2],
      [0, 1, 2],
    ],
  });

  /** [batch, chunks, heads, chunk] to [batch, chunks, chunk, channel]. */
  const spread = (x: Tracer): Tracer => repeatChannels(x.transpose([0, 1, 3, 2]), headDim);
  const toEnd = between.index(3, -1);
  const added = cutB.dotGeneral(spread(toEnd).mul(drive), {
    contracting: [[2], [2]],
    batch: [
      [0, 1],
      [0, 1],
    ],
  });
  const fromStart = spread(between.index(4, 0).mul(decay.sliceAxis(3, 0, 1)));
  const through = fromStart.sliceAxis(2, size - 1, size).broadcastTo(added.shape);
  const ends = linearRecurrence(through, startFrom(added, through, initial), { axis: 1 });
  const starts = ends.shift(1, initial === undefined ? {} : { fill: initial.expandDims(1) });
  const inherited = cutC
    .dotGeneral(starts, {
      contracting: [[3], [2]],
      batch: [
        [0, 1],
        [0, 1],
      ],
    })
    .mul(fromStart);

  const out = within.transpose([0, 1, 3, 2, 4]).reshape(inherited.shape).add(inherited);
  return {
    out: out.reshape([batch, count * size, channels]).sliceAxis(1, 0, time),
    last: ends.index(1, -1),
  };
}

/** One number per head for each of its channels: [..., heads] -> [..., heads * headDim]. */
export function repeatChannels(x: Tracer, headDim: number): Tracer {
  const before = x.shape.slice(0, -1);
  const heads = x.dim(-1);
  return x
    .expandDims(-1)
    .broadcastTo([...before, heads, headDim])
    .reshape([...before, heads * headDim]);
}

/** [batch, time, n] to [batch, count, size, n], with zeros for the steps that are missing. */
function inChunks(x: Tracer, count: number, size: number): Tracer {
  const missing = count * size - x.dim(1);
  const none = [0, 0] as const;
  const whole = missing === 0 ? x : x.pad([none, [0, missing], none]);
  return whole.reshape([x.dim(0), count, size, x.dim(2)]);
}

function identity(size: number, dtype: Tracer["dtype"]): Tracer {
  return iota([size, size], 0)
    .equal(iota([size, size], 1))
    .astype(dtype);
}
