import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { checkFixture, UnknownKindError } from "./golden-kinds/index.ts";
import { PLACES, settingOn } from "./golden-kinds/settings.ts";
import { describeGolden } from "./golden-kinds/suite.ts";

for (const place of PLACES) if (place.dtype === "float64") describeGolden(place);

describe("what a fixture file is", () => {
  it("says what is not built instead of passing it", async () => {
    const setting = settingOn(await reference(), "float64");
    expect(await checkFixture(setting, { kind: "FPMamba" })).toBeNull();
    expect(await checkFixture(setting, { kind: "mixer", config: { mixer: "none" } })).toBeNull();
    expect(await checkFixture(setting, { kind: "Mamba" })).toBeNull();
  });

  it("refuses a kind that the format does not have", async () => {
    const setting = settingOn(await reference(), "float64");
    for (const fixture of [{ kind: "FPRRN" }, { kind: "toString" }, {}]) {
      await expect(checkFixture(setting, fixture)).rejects.toThrow(UnknownKindError);
    }
  });
});
