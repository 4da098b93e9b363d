/** The golden fixtures in float32, within budgets that follow from what kernels may be wrong by. */
import { Device } from "@banach/autograd";
import { isFloat, type PrimitiveName } from "@banach/autograd/backend";
import { strictBudgets } from "@banach/autograd/testing";
import { describe, expect, it } from "vitest";
import { judgeFixture, worstOf } from "./golden-kinds/budgets.ts";
import { checkFixture } from "./golden-kinds/index.ts";
import { PLACES, settingOn } from "./golden-kinds/settings.ts";
import { describeGolden, fixtureNames, readFixture } from "./golden-kinds/suite.ts";
import { interpretingBackend } from "./rounding/backend.ts";
import type { Change } from "./rounding/interpret.ts";

/** The rest takes minutes where a driver in software compiles the shaders: `npm run golden -- --backend webgpu` checks all. */
const onWebGpu = fixtureNames.filter((name) => /^(?:prim|mixer|mamba)_|^fprnn_householder_r1\.json$/.test(name));

for (const place of PLACES) {
  if (place.dtype === "float32") describeGolden(place, place.name === "webgpu" ? onWebGpu : fixtureNames);
}

/** Too small to be seen in a loss curve, and a thousand units in the last place. */
const FAULT = 1e-4;

const scaled =
  (primitive: PrimitiveName): Change =>
  (equation, _, results) => {
    if (equation.primitive !== primitive) return;
    equation.outputs.forEach(({ type }, k) => {
      if (isFloat(type.dtype)) results[k]!.forEach((x, i, data) => (data[i] = x * (1 + FAULT)));
    });
  };

describe("the budgets of float32", async () => {
  const fixtures = fixtureNames.filter((name) => /^(?:prim|mixer)_/.test(name)).map(readFixture);
  const used = new Set<PrimitiveName>();
  const record: Change = ({ primitive, outputs }) => {
    if (strictBudgets[primitive].kind !== "bits" && isFloat(outputs[0]!.type.dtype)) used.add(primitive);
  };
  const recorder = new Device(interpretingBackend("recorder", record));
  for (const fixture of fixtures) await checkFixture(settingOn(recorder, "float32"), fixture);

  it.each([...used].sort())("notice a kernel for %s that is wrong by a ten thousandth", async (primitive) => {
    const setting = settingOn(new Device(interpretingBackend(`wrong ${primitive}`, scaled(primitive))), "float32");
    const worst = await Promise.all(fixtures.map(async (fixture) => worstOf((await judgeFixture(setting, fixture))!)));
    expect(Math.max(...worst.map(({ share }) => share))).toBeGreaterThan(1);
  });

  it("are small: a thousandth at most, for any tensor of any fixture", { timeout: 120_000 }, async () => {
    const setting = settingOn(await PLACES[0]!.open(), "float32");
    for (const name of fixtureNames) {
      const verdicts = (await judgeFixture(setting, readFixture(name)))!;
      expect(Math.max(...verdicts.map(({ budget }) => budget)), name).toBeLessThan(1e-3);
    }
  });
});
