/** Random numbers from counter-based keys: the same seed gives the same numbers on every backend. */
export {
  bernoulli,
  normal,
  type NormalOptions,
  type RandomDType,
  uniform,
  type UniformOptions,
} from "./distributions.ts";
export { eagerly, type Eager, type Tensor } from "./eager.ts";
export { gamma, type GammaOptions, permutation } from "./host.ts";
export { bits, foldIn, key, split } from "./key.ts";
