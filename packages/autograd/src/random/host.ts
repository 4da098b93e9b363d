/** Random draws that need a loop per element, made on the host: gamma numbers and permutations. */
import { ArgumentError, TraceError } from "../errors.ts";
import { allocateHost, formatType, type Shape, sizeOf, tensorType } from "../ir/tensor-type.ts";
import { type HostTensor, hostTensor } from "../runtime/host-tensor.ts";
import { isTracing } from "../trace/builder.ts";
import type { RandomDType } from "./distributions.ts";
import { threefry2x32 } from "./threefry.ts";

type Words = readonly [number, number];

/** The words of a key. Throws TraceError inside a trace, where a loop over elements would need their values. */
function hostWords(op: string, key: HostTensor): Words {
  if (isTracing()) {
    throw new TraceError(
      `${op}: is drawn on the host; call it before the traced function and pass the result as an argument`,
    );
  }
  const [first, second] = key.data;
  if (key.dtype !== "uint32" || first === undefined || second === undefined || key.data.length !== 2) {
    throw new ArgumentError(`${op}: a key is uint32[2], got ${formatType(key.type)}; make one with key(seed)`);
  }
  return [first, second];
}

export interface GammaOptions {
  /** Shape of the distribution; positive. */
  readonly alpha: number;
  /** Default 1; positive. The mean is alpha * scale, the variance alpha * scale^2. */
  readonly scale?: number;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

/**
 * Gamma numbers of a shape , by G. Marsaglia and W. W. Tsang, "A simple method for generating gamma
 * variables" (2000). Element i depends on the key and i only. Throws ArgumentError for parameters that are not
 * positive, TraceError inside a trace.
 */
export function gamma(key: HostTensor, shape: Shape, options: GammaOptions): HostTensor {
  const { alpha, scale = 1, dtype = "float32" } = options;
  const words = hostWords("gamma", key);
  if (!(alpha > 0 && scale > 0 && Number.isFinite(alpha) && Number.isFinite(scale))) {
    throw new ArgumentError(`gamma: alpha and scale must be positive and finite, got ${alpha} and ${scale}`);
  }
  const type = tensorType(dtype, shape);
  const data = allocateHost(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = scale * standardGamma(words, i, alpha);
  return hostTensor(type, data);
}

/** Uniform on (0, 1), an odd multiple of 2^-33. */
function open01(word: number): number {
  return (word + 0.5) * 2 ** -32;
}

function standardGamma([k0, k1]: Words, element: number, alpha: number): number {
  // For alpha < 1: G(alpha) = G(alpha + 1) U^(1 / alpha).
  const d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let block = 0; ; block += 2) {
    const [a, b] = threefry2x32(k0, k1, block, element);
    const [accept, boost] = threefry2x32(k0, k1, block + 1, element);
    const x = Math.sqrt(-2 * Math.log(open01(a))) * Math.cos(2 * Math.PI * open01(b));
    const v = (1 + c * x) ** 3;
    if (v <= 0 || Math.log(open01(accept)) >= 0.5 * x * x + d - d * v + d * Math.log(v)) continue;
    return d * v * (alpha < 1 ? open01(boost) ** (1 / alpha) : 1);
  }
}

/**
 * The numbers 0 .. n - 1 in random order, int32[n], every order equally likely: Fisher and Yates' shuffle with bounded
 * integers drawn by rejection. Throws ArgumentError unless n is an integer in [0, 2^31), TraceError inside a trace.
 */
export function permutation(key: HostTensor, n: number): HostTensor {
  const words = hostWords("permutation", key);
  if (!Number.isInteger(n) || n < 0 || n >= 2 ** 31) {
    throw new ArgumentError(`permutation: n must be an integer in [0, 2^31), got ${n}`);
  }
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let last = n - 1; last > 0; last--) {
    const other = below(words, last + 1);
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return hostTensor({ dtype: "int32", shape: [n] }, order);
}

/** An unbiased integer in [0, bound), a function of the key and the bound: numbers in an incomplete last round are redrawn. */
function below([k0, k1]: Words, bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (let attempt = 0; ; attempt++) {
    const [word] = threefry2x32(k0, k1, attempt, bound);
    if (word < limit) return word % bound;
  }
}
