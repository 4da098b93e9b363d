/** Threefry-2x32 with 20 rounds on lanes (Salmon et al., SC 2011): the words that random_bits consists of. */
import { i32x4, v128 } from "../wasm/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import { scoped, words } from "./lanes.ts";
import type { Vector } from "./lanes.ts";

const parity = 0x1bd1_1bda;

/** Rotations of the four rounds of odd groups, and of even ones. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

const rotateLeft = (x: Vector, bits: number): Vector => v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));

/**
 * The xor of the two output words, for 4 keys and 4 counters of 64 bits.
 * @param key0 evaluated once, as all of them
 */
export function threefry(
  f: FunctionBuilder,
  key0: Vector,
  key1: Vector,
  counterHigh: Vector,
  counterLow: Vector,
): Vector {
  return scoped(f, () => {
    const [k0, k1] = [f.let(key0), f.let(key1)];
    const keys = [k0, k1, f.let(v128.xor(v128.xor(words(parity), k0), k1))] as const;
    const key = (i: number): Vector => keys[(i % 3) as 0 | 1 | 2];
    const a = f.local("v128", i32x4.add(counterHigh, k0));
    const b = f.local("v128", i32x4.add(counterLow, k1));
    for (let group = 1; group <= 5; group++) {
      for (const bits of rotations[group % 2 === 1 ? 0 : 1]) {
        f.set(a, i32x4.add(a, b));
        f.set(b, v128.xor(rotateLeft(b, bits), a));
      }
      f.set(a, i32x4.add(a, key(group)));
      f.set(b, i32x4.add(b, i32x4.add(key(group + 1), words(group))));
    }
    return v128.xor(a, b);
  });
}
