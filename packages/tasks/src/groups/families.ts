/** The families of groups: cyclic, symmetric and alternating, as permutations in a fixed order. */
import { type Group, type Permutation, permutationGroup } from "./group.ts";

/** Z_n: element k turns a circle of n points by k. */
export function cyclic(n: number): Group {
  const turn = (k: number): Permutation => Array.from({ length: n }, (_, i) => (i + k) % n);
  return permutationGroup(
    `Z${n}`,
    Array.from({ length: n }, (_, k) => turn(k)),
  );
}

/** S_n: all permutations of n points, in lexicographic order. */
export function symmetric(n: number): Group {
  return permutationGroup(`S${n}`, permutations(n));
}

/** A_n: the even permutations of n points, in lexicographic order. */
export function alternating(n: number): Group {
  return permutationGroup(`A${n}`, permutations(n).filter(isEven));
}

/** All permutations of 0 .. n - 1 in lexicographic order. */
export function permutations(n: number): readonly Permutation[] {
  const extend = (prefix: Permutation): readonly Permutation[] =>
    prefix.length === n
      ? [prefix]
      : Array.from({ length: n }, (_, i) => i)
          .filter((i) => !prefix.includes(i))
          .flatMap((i) => extend([...prefix, i]));
  return extend([]);
}

/** Whether a permutation has an even number of inversions. */
export function isEven(permutation: Permutation): boolean {
  let inversions = 0;
  permutation.forEach((value, i) => {
    inversions += permutation.slice(i + 1).filter((later) => later < value).length;
  });
  return inversions % 2 === 0;
}
