/** Finite groups, for word problems. */
export { alternating, cyclic, symmetric } from "./families.ts";
export { directProduct, type Group, type Permutation, permutationGroup } from "./group.ts";
export { GROUP_NAMES, MAX_ORDER, parseGroup } from "./parse-group.ts";
