/** A small model for tests that need no fixed point: phases add up over time, and are read through cosines. */
import { add, concatenate, cos, cumsum, type HostTensor, nn, random, sin, type Tracer } from "@banach/autograd";
import type { ModelOutput, Params, SequenceModel } from "../src/train/index.ts";

interface StandInParams {
  readonly phases: { readonly weight: Tracer };
  readonly head: { readonly weight: Tracer; readonly bias: Tracer };
}

/** Learns the word problems of cyclic groups. */
export function phaseModel(vocabulary: number, features = 8, scale = 1): SequenceModel {
  return {
    init(key: HostTensor): Params {
      const [a, b] = random.split(key);
      return {
        phases: nn.embedding.init(a!, { vocabulary, features, stddev: scale }),
        head: nn.linear.init(b!, { inFeatures: 2 * features, outFeatures: vocabulary }),
      };
    },
    apply(params: Params, ids: Tracer): ModelOutput {
      const { phases, head } = params as StandInParams;
      const angle = cumsum(nn.embedding.apply(phases, ids), { axis: 1 });
      const logits = nn.linear.apply(head, concatenate([cos(angle), sin(angle)], -1));
      return { logits: add(logits, 0), stats: [] };
    },
  };
}
