/** Kinds of fixtures: one line each. A file is recognised by its content. */
import type { Comparison, Fixture, Setting } from "./fixture.ts";
import { checkFpMamba, fpMambaIsBuilt } from "./fpmamba.ts";
import { checkFpRnn, fpRnnIsBuilt } from "./fprnn.ts";
import { checkLm, lmIsBuilt } from "./lm.ts";
import { checkMamba, mambaIsBuilt } from "./mamba.ts";
import { checkMixer, type MixerConfig, mixerIsBuilt } from "./mixer.ts";
import { checkPrimitive, primitiveIsBuilt } from "./primitive.ts";

interface Kind {
  readonly isBuilt: (fixture: Fixture) => boolean;
  readonly check: (setting: Setting, fixture: Fixture) => Promise<Comparison[]>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  primitive: { isBuilt: primitiveIsBuilt, check: checkPrimitive },
  mixer: { isBuilt: (fixture) => mixerIsBuilt(fixture["config"] as MixerConfig), check: checkMixer },
  FPMamba: { isBuilt: fpMambaIsBuilt, check: checkFpMamba },
  FPRNN: { isBuilt: fpRnnIsBuilt, check: checkFpRnn },
  Mamba: { isBuilt: mambaIsBuilt, check: checkMamba },
  LM: { isBuilt: lmIsBuilt, check: checkLm },
};

/** The file's `kind` is none of the format, so it is a mistake and not something to come. */
export class UnknownKindError extends Error {
  override readonly name: string = "UnknownKindError";
}

/** The comparisons of a fixture, or null if what it describes is not built. Throws UnknownKindError. */
export async function checkFixture(setting: Setting, fixture: Fixture): Promise<Comparison[] | null> {
  const name = fixture.kind ?? "";
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) {
    const kinds = Object.keys(KINDS).join(", ");
    throw new UnknownKindError(`no kind is called ${JSON.stringify(name)}; the kinds are ${kinds}`);
  }
  return kind.isBuilt(fixture) ? kind.check(setting, fixture) : null;
}
