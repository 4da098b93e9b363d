/** The golden fixtures as tests, for any place where they are checked. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { formatVerdict, judgeFixture, worstOf } from "./budgets.ts";
import type { Fixture } from "./fixture.ts";
import { type Place, settingOn } from "./settings.ts";

const folder = new URL("../golden/", import.meta.url);

/** The repository's own fixtures. */
export const fixtureNames: readonly string[] = readdirSync(folder).sort();

const read = new Map<string, Fixture>();

/** The same object each time, so that what is known of a fixture is found again. */
export function readFixture(name: string): Fixture {
  const fixture = read.get(name) ?? (JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Fixture);
  read.set(name, fixture);
  return fixture;
}

/** Budgets of float32 take several runs by an interpreter. */
const TIMEOUT = 180_000;

export function describeGolden({ name: place, dtype, open }: Place, names: readonly string[] = fixtureNames): void {
  describe(`golden fixtures, ${place} in ${dtype}`, async () => {
    const device = await open();
    const setting = settingOn(device, dtype);
    afterAll(() => device[Symbol.asyncDispose]());
    const share = async (fixture: Fixture): Promise<number> => worstOf((await judgeFixture(setting, fixture))!).share;

    it.each(names)("%s agrees", { timeout: TIMEOUT }, async (name) => {
      const worst = worstOf((await judgeFixture(setting, readFixture(name)))!);
      expect(worst.share, formatVerdict(worst)).toBeLessThanOrEqual(1);
    });

    it("would notice one wrong number, a wrong shape, and a missing gradient", async () => {
      const fixture = readFixture("prim_rmsnorm.json") as Fixture & {
        output: { data: number[]; shape: number[] };
        grads: Record<string, unknown>;
      };
      const scale = Math.max(...fixture.output.data.map(Math.abs));
      const wrong = scale * (dtype === "float64" ? 1e-8 : 1e-5);
      const data = fixture.output.data.map((x, i) => (i === 3 ? x + wrong : x));
      expect(await share({ ...fixture, output: { ...fixture.output, data } })).toBeGreaterThan(1);
      expect(await share({ ...fixture, output: { ...fixture.output, shape: [6, 5] } })).toBe(Infinity);
      expect(await share({ ...fixture, grads: { x: fixture.grads["x"] } })).toBe(Infinity);
    });
  });
}
