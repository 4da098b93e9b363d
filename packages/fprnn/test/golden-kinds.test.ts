import { readdirSync, readFileSync } from "node:fs";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import type { Fixture } from "./golden-kinds/fixture.ts";
import { checkFixture, TOLERANCE, UnknownKindError } from "./golden-kinds/index.ts";

const device = await reference();
const folder = new URL("golden/", import.meta.url);
const read = (name: string): Fixture => JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Fixture;
const worst = async (fixture: Fixture): Promise<number> =>
  Math.max(...(await checkFixture(device, fixture))!.map(({ error }) => error));

describe("golden fixtures", () => {
  it.each(readdirSync(folder))("%s agrees", async (name) => {
    expect(await worst(read(name))).toBeLessThan(TOLERANCE);
  });

  it("would notice one wrong number, a wrong shape, and a missing gradient", async () => {
    const fixture = read("prim_rmsnorm.json") as Fixture & {
      output: { data: number[]; shape: number[] };
      grads: Record<string, unknown>;
    };
    expect(
      await worst({
        ...fixture,
        output: { ...fixture.output, data: fixture.output.data.map((x, i) => (i === 3 ? x * (1 + 1e-6) : x)) },
      }),
    ).toBeGreaterThan(TOLERANCE);
    expect(await worst({ ...fixture, output: { ...fixture.output, shape: [6, 5] } })).toBe(Infinity);
    expect(await worst({ ...fixture, grads: { x: fixture.grads["x"] } })).toBe(Infinity);
  });

  it("says what is not built instead of passing it", async () => {
    expect(await checkFixture(device, { kind: "FPMamba" })).toBeNull();
    expect(await checkFixture(device, { kind: "mixer", config: { mixer: "kronecker" } })).toBeNull();
    expect(await checkFixture(device, { kind: "Mamba" })).toBeNull();
  });

  it("refuses a kind that the format does not have", async () => {
    for (const fixture of [{ kind: "FPRRN" }, { kind: "toString" }, {}]) {
      await expect(checkFixture(device, fixture)).rejects.toThrow(UnknownKindError);
    }
  });
});
