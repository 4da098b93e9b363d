/** Mixers: one file and one line each. */
export { dense, type DenseMixer, type DenseOptions, type DenseParams } from "./dense.ts";
export { dplr, type DplrMixer, type DplrOptions, type DplrParams } from "./dplr.ts";
export { householder, type HouseholderMixer, type HouseholderOptions, type HouseholderParams } from "./householder.ts";
export {
  kronecker,
  type KroneckerMixer,
  type KroneckerNormalisation,
  type KroneckerOptions,
  type KroneckerParams,
} from "./kronecker.ts";
export {
  type BoundMixer,
  type LowRank,
  type Mixer,
  type MixerArgument,
  type MixerParams,
  type MixerShape,
} from "./mixer.ts";
export { mixture, type MixtureMixer, type MixtureOptions, type MixtureParams } from "./mixture.ts";
export { monarch, type MonarchMixer, type MonarchOptions, type MonarchParams } from "./monarch.ts";
export { orthogonal, type OrthogonalMixer, type OrthogonalOptions, type OrthogonalParams } from "./orthogonal.ts";
export { type DiagonalPlusMixer, solveWoodbury } from "./woodbury.ts";
