/** From the configuration of a mixer to the value. */
import { dense, dplr, householder, kronecker, type Mixer, mixture, monarch, orthogonal } from "@banach/fprnn";
import type { MixerConfig } from "../run/mixer-config.ts";

/** Throws ArgumentError for values that fit their types and yet cannot be built. */
export function buildMixer(config: MixerConfig): Mixer {
  switch (config.kind) {
    case "householder":
      return householder(config);
    case "dplr":
      return dplr(config);
    case "kronecker":
      return kronecker(config);
    case "monarch":
      return monarch(config);
    case "dense":
      return dense(config);
    case "orthogonal":
      return orthogonal(config);
    case "mixture":
      return mixture({ experts: config.experts.map(buildMixer) });
    default:
      return config satisfies never;
  }
}
