/** Keys: the seeds of counter-based random numbers. A key is a value uint32[2]; there is no hidden state anywhere. */
import { ArgumentError, DTypeError, ShapeError } from "../errors.ts";
import { formatType, isInteger, type Shape } from "../ir/tensor-type.ts";
import { add } from "../ops/elementwise.ts";
import { astype, lift } from "../ops/lift.ts";
import { concatenate, index, reshape } from "../ops/movement.ts";
import { array, type HostTensor } from "../runtime/host-tensor.ts";
import { emit1, literalTracer } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { eagerly, type Tensor } from "./eager.ts";

/** Added to the second word by `foldIn`, so that folding in 0 is not the key itself: 2^32 divided by the golden ratio. */
const FOLD = 0x9e3779b9;

/**
 * A key, uint32[2], from a seed: the high and the low word of its 64 bits (two's complement). Equal seeds give equal
 * numbers everywhere. Throws ArgumentError unless the seed is an integer that 64 bits and its JavaScript type can hold.
 */
export function key(seed: number | bigint): HostTensor {
  const isInteger = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (!isInteger) throw new ArgumentError(`key: the seed must be a safe integer or a bigint, got ${seed}`);
  const wide = BigInt(seed);
  if (wide >= 1n << 64n || wide < -(1n << 63n)) {
    throw new ArgumentError(`key: the seed must fit in 64 bits, got ${wide}`);
  }
  const bits64 = BigInt.asUintN(64, wide);
  return array(Uint32Array.of(Number(bits64 >> 32n), Number(bits64 & 0xffffffffn)));
}

/** uint32 bits of a shape, each independent and uniform. Use a key for one purpose only; `split` it for more. */
export function bits<K extends Tensor>(key: K, shape: Shape): K {
  return eagerly(drawBits)(key, shape) as K;
}

/** `bits` inside a trace. */
export function drawBits(key: Tracer, shape: Shape): Tracer {
  return emit1("random_bits", [lift("bits", key)], { shape });
}

/** `n` new independent keys; the old one must not be used again. Throws ArgumentError unless n is a positive integer. */
export function split<K extends Tensor>(key: K, n = 2): readonly K[] {
  if (!Number.isSafeInteger(n) || n < 1) throw new ArgumentError(`split: n must be a positive integer, got ${n}`);
  return eagerly(drawKeys)(key, n) as readonly K[];
}

function drawKeys(key: Tracer, n: number): readonly Tracer[] {
  const rows = drawBits(key, [n, 2]);
  return Array.from({ length: n }, (_, i) => index(rows, 0, i));
}

/**
 * A new key from a key and a number, e.g. a step or a layer's index; a tensor is an integer scalar. Different numbers
 * give independent keys. Throws ArgumentError unless a plain number is an integer in [0, 2^32), DTypeError or ShapeError for
 * other tensors.
 */
export function foldIn<K extends Tensor>(key: K, n: number | Tensor): K {
  if (typeof n === "number" && (!Number.isInteger(n) || n < 0 || n >= 2 ** 32)) {
    throw new ArgumentError(`foldIn: n must be an integer in [0, 2^32), got ${n}`);
  }
  return eagerly(drawFolded)(key, n) as K;
}

function drawFolded(key: Tracer, n: number | Tracer): Tracer {
  if (typeof n !== "number" && !isInteger(n.dtype)) {
    throw new DTypeError(
      `foldIn: n must be an integer scalar, got ${formatType(n.type)}; convert it with astype("int32")`,
    );
  }
  if (typeof n !== "number" && n.rank !== 0) {
    throw new ShapeError(
      `foldIn: n must be an integer scalar, got ${formatType(n.type)}; fold in one number at a time`,
    );
  }
  const first = typeof n === "number" ? literalTracer("uint32", n) : astype(n, "uint32");
  const offset = concatenate([reshape(first, [1]), reshape(literalTracer("uint32", FOLD), [1])], 0);
  // uint32 addition wraps around.
  return drawBits(add(key, offset), [2]);
}
