/** Kinds of fixtures: one line each. A file is recognised by its content. */
import type { Device } from "@banach/autograd";
import type { Comparison, Fixture } from "./fixture.ts";
import { checkFpMamba, fpMambaIsBuilt } from "./fpmamba.ts";
import { checkFpRnn, fpRnnIsBuilt } from "./fprnn.ts";
import { checkLm, lmIsBuilt } from "./lm.ts";
import { checkMixer, type MixerConfig, mixerIsBuilt } from "./mixer.ts";
import { checkPrimitive, primitiveIsBuilt } from "./primitive.ts";

interface Kind {
  readonly isBuilt: (fixture: Fixture) => boolean;
  readonly check: (device: Device, fixture: Fixture) => Promise<Comparison[]>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  primitive: { isBuilt: primitiveIsBuilt, check: checkPrimitive },
  mixer: { isBuilt: (fixture) => mixerIsBuilt(fixture["config"] as MixerConfig), check: checkMixer },
  FPMamba: { isBuilt: fpMambaIsBuilt, check: checkFpMamba },
  FPRNN: { isBuilt: fpRnnIsBuilt, check: checkFpRnn },
  LM: { isBuilt: lmIsBuilt, check: checkLm },
};

/** Largest relative error allowed against float64 fixtures. */
export const TOLERANCE = 1e-9;

/** The comparisons of a fixture, or null if what it describes is not built. */
export async function checkFixture(device: Device, fixture: Fixture): Promise<Comparison[] | null> {
  const kind = KINDS[fixture.kind ?? ""];
  return kind?.isBuilt(fixture) === true ? kind.check(device, fixture) : null;
}
