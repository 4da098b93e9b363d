/** Fixtures of kind "FPRNN": the vector-state layer. */
import type { Device } from "@banach/autograd";
import { fpRnn, sequential, throughTime } from "../../src/index.ts";
import type { Comparison, Fixture } from "./fixture.ts";
import { checkLayer, EXACT, type GoldenLayer, layerIsBuilt, type LayerKind } from "./layer.ts";

const FP_RNN: LayerKind = {
  create: (options, _config, training) => fpRnn({ ...options, ...training }) as unknown as GoldenLayer,
  prepared: { x: "x", z: "z", xm: "xm", b: "b", lam: "lambda" },
  // The sweep through time without its carry is the authors' gradient.
  likeOneStep: { "through time": { solver: sequential(EXACT), adjoint: throughTime({ carry: false }) } },
};

export const fpRnnIsBuilt: (fixture: Fixture) => boolean = layerIsBuilt;

export function checkFpRnn(device: Device, fixture: Fixture): Promise<Comparison[]> {
  return checkLayer(device, fixture, FP_RNN);
}
