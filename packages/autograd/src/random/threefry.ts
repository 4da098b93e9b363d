/** Threefry-2x32 with 20 rounds, the counter-based generator behind every random number (Salmon et al., SC 2011). */

const PARITY = 0x1bd11bda;

/** One block: the two output words of key (key0, key1) at counter (x0, x1). All words are uint32. */
export function threefry2x32(key0: number, key1: number, x0: number, x1: number): readonly [number, number] {
  const key2 = PARITY ^ key0 ^ key1;
  let [a, b] = [(x0 + key0) | 0, (x1 + key1) | 0];
  // The subkeys rotate: after group g, (k[g+1], k[g+2] + g + 1) is injected, indices modulo 3.
  let [k0, k1, k2] = [key0, key1, key2];
  for (let group = 1; group <= 5; group++) {
    const odd = (group & 1) === 1;
    a = (a + b) | 0;
    b = rotateLeft(b, odd ? 13 : 17) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, odd ? 15 : 29) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, odd ? 26 : 16) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, odd ? 6 : 24) ^ a;
    const first = k0;
    k0 = k1;
    k1 = k2;
    k2 = first;
    a = (a + k0) | 0;
    b = (b + k1 + group) | 0;
  }
  return [a >>> 0, b >>> 0];
}

/** Fills `out`: element i is the xor of the two words at the 64-bit counter i, high word first. */
export function fillThreefryBits(out: Uint32Array, key0: number, key1: number): void {
  for (let i = 0; i < out.length; i++) {
    const [a, b] = threefry2x32(key0, key1, Math.floor(i / 2 ** 32), i >>> 0);
    out[i] = a ^ b;
  }
}

/** `size` random words of the key, as the primitive random_bits defines them. */
export function threefryBits(key0: number, key1: number, size: number): Uint32Array {
  const out = new Uint32Array(size);
  fillThreefryBits(out, key0, key1);
  return out;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
