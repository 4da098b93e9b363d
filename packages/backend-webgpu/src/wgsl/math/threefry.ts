/** Threefry-2x32 with 20 rounds (Salmon et al., SC 2011): the words that random_bits consists of. */
import type { WgslLibrary } from "./library.ts";

/** Rotations of the four rounds of odd groups, and of even ones. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

function rounds(): string {
  const lines: string[] = [];
  for (let group = 1; group <= 5; group++) {
    for (const bits of rotations[group % 2 === 1 ? 0 : 1]) {
      lines.push(`  a += b; b = ((b << ${bits}u) | (b >> ${32 - bits}u)) ^ a;`);
    }
    lines.push(`  a += k${group % 3}; b += k${(group + 1) % 3} + ${group}u;`);
  }
  return lines.join("\n");
}

export const threefry: WgslLibrary = {
  // The xor of the two output words of key (k0, k1) at counter (c0, c1), c0 being the high word.
  threefry2x32_bits: {
    source: `fn threefry2x32_bits(k0: u32, k1: u32, c0: u32, c1: u32) -> u32 {
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var a = c0 + k0;
  var b = c1 + k1;
${rounds()}
  return a ^ b;
}
`,
    uses: [],
  },
};
