/** Fixtures of kind "FPMamba": the matrix-state layer. */
import { fpMamba } from "../../src/index.ts";
import type { Comparison, Fixture, Setting } from "./fixture.ts";
import { checkLayer, type GoldenLayer, layerIsBuilt, type LayerKind } from "./layer.ts";

const FP_MAMBA: LayerKind = {
  create: (options, { d_state: dState = 16, bc_norm: bcNorm = true, glu_in_loop: gluInLoop = false }, training) =>
    fpMamba({ ...options, dState, bcNorm, gluInLoop, ...training }) as unknown as GoldenLayer,
  normalization: "column-wise",
  prepared: { x: "x", z: "z", dt: "dt", B: "b", C: "c" },
  // The map can have several fixed points, and another solver may find another one: Picard alone is compared.
  likeOneStep: () => ({}),
};

export const fpMambaIsBuilt: (fixture: Fixture) => boolean = layerIsBuilt;

export function checkFpMamba(setting: Setting, fixture: Fixture): Promise<Comparison[]> {
  return checkLayer(setting, fixture, FP_MAMBA);
}
