/** Fixtures of kind "FPRNN": the vector-state layer. */
import { fpRnn, sequential, throughTime } from "../../src/index.ts";
import type { Comparison, Fixture, Setting } from "./fixture.ts";
import { checkLayer, type GoldenLayer, layerIsBuilt, type LayerKind } from "./layer.ts";

const FP_RNN: LayerKind = {
  create: (options, _config, training) => fpRnn({ ...options, ...training }) as unknown as GoldenLayer,
  normalization: "spectral",
  prepared: { x: "x", z: "z", xm: "xm", b: "b", lam: "lambda" },
  // The sweep through time without its carry is the authors' gradient.
  likeOneStep: (exact) => ({ "through time": { solver: sequential(exact), adjoint: throughTime({ carry: false }) } }),
};

export const fpRnnIsBuilt: (fixture: Fixture) => boolean = layerIsBuilt;

export function checkFpRnn(setting: Setting, fixture: Fixture): Promise<Comparison[]> {
  return checkLayer(setting, fixture, FP_RNN);
}
