/** Mixers: one file and one line each. */
export { householder, type HouseholderMixer, type HouseholderOptions, type HouseholderParams } from "./householder.ts";
export { type Mixer, type MixerArgument, type MixerShape } from "./mixer.ts";
