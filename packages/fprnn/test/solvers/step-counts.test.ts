/** WASM stops where the float32 reference stops, but where rounding decides; and a comparison that could not fail would be none. */
import { wasm } from "@banach/backend-wasm";
import { afterAll, describe, expect, it } from "vitest";
import { announce, compareOn, expectedOf, SEEDS, STEP_CASES } from "./step-cases.ts";
import { countsOn, type Expected, expectedSteps, residualsOf, type StepReport } from "./step-counts.ts";

const device = await wasm({ threads: 1 });
afterAll(() => device[Symbol.asyncDispose]());

describe("step counts on wasm", () => {
  const reports: StepReport[] = [];
  afterAll(({}, { file }) => {
    announce(file, "wasm", reports);
  });

  for (const step of STEP_CASES) {
    it(`${step.name}: those of the reference`, async () => {
      const report = await compareOn(device, step);
      expect(report.sequences).toBe(SEEDS.length * step.shape[0]);
      reports.push(report);
    });
  }
});

describe("the comparison of step counts", () => {
  it.each(STEP_CASES)("refuses a count that is off by one: $name", async (step) => {
    const [{ counts, compare }] = (await expectedOf(step)) as [Expected];
    for (const by of [-1, 1]) {
      await expect(compare(counts.map((count, i) => (i === 0 ? count + by : count)))).rejects.toThrow(RangeError);
    }
    await expect(compare(counts.slice(1))).rejects.toThrow(RangeError);
  });

  it("refuses counts to a tolerance that is wrong by a hundredth", { timeout: 120_000 }, async () => {
    let refused = 0;
    for (const step of STEP_CASES) {
      for (const [i, { compare }] of (await expectedOf(step)).slice(0, 4).entries()) {
        const counts = await countsOn(device, step, SEEDS[i]!, 1.01 * step.tol);
        await compare(counts).catch((error: unknown) => {
          expect(error).toBeInstanceOf(RangeError);
          refused++;
        });
      }
    }
    expect(refused).toBeGreaterThan(4);
  });

  it("takes a count that differs where the residual is so near to tol that rounding decides, and no other", async () => {
    for (const step of STEP_CASES.filter(({ name }) => name.endsWith("each by itself"))) {
      const [{ counts }] = (await expectedOf(step)) as [Expected];
      const earlier = counts[0]! - 1;
      // Of the first sequence, the last residual that was too large.
      const residual = (await residualsOf(step, SEEDS[0]!)).data[(earlier - 1) * step.shape[0]]!;
      const stopsEarlier = async (distance: number): Promise<StepReport> => {
        const { counts: now, compare } = await expectedSteps({ ...step, tol: residual / (1 + distance) }, SEEDS[0]!);
        expect(now[0]).toBe(earlier + 1);
        return compare([earlier, ...now.slice(1)]);
      };
      const report = await stopsEarlier(1e-5);
      expect(report.differ).toBe(1);
      expect(report.worstShare).toBeGreaterThan(0.005);
      expect(report.worstShare).toBeLessThan(1);
      await expect(stopsEarlier(2e-3)).rejects.toThrow(RangeError);
    }
  });
});
