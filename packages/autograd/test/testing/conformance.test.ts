import { afterAll, describe, expect, it } from "vitest";
import { referenceBackend } from "../../src/reference/backend.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { ConformanceError } from "../../src/testing/conformance/compare.ts";
import { conformance, type ConformanceCase, conformanceCases } from "../../src/testing/conformance.ts";
import { kernelFaults, withFault } from "../../src/testing/faults/kernel-faults.ts";

describe("the reference backend in float32", () => {
  const { cases, errors } = conformance(referenceBackend);
  for (const { name, run } of cases) it(name, run);

  afterAll(() => {
    const [worst] = [...errors()].sort((a, b) => b.worstShare - a.worstShare);
    expect(errors().length).toBeGreaterThan(25);
    console.log(
      `conformance: ${cases.length} cases on reference in float32; largest part of a budget used ${worst!.worstShare.toFixed(2)} (${worst!.primitive})`,
    );
  });
});

describe("a backend that is wrong", () => {
  const [fault] = kernelFaults.filter(({ primitive }) => primitive === "sin");
  const open = (): Backend => withFault(referenceBackend(), fault!);
  const named = (cases: readonly ConformanceCase[], name: string): ConformanceCase =>
    cases.find((one) => one.name === name)!;

  it("fails, and the message says where and by how much", async () => {
    const failing = named(conformanceCases(open), "sin: odd [3,5]");
    await expect(failing.run()).rejects.toThrow(ConformanceError);
    await expect(failing.run()).rejects.toThrow(/element 0 of result 0 is .*, the reference says .*operands there/);
    await expect(named(conformanceCases(open), "cos: odd [3,5]").run()).resolves.toBeUndefined();
  });

  it("may diverge where that is expected, and nowhere else", async () => {
    const expectedDivergences = ["sin: odd [3,5]", "cos: odd [3,5]", "sine: odd"];
    const cases = conformanceCases(open, { expectedDivergences });
    await expect(named(cases, "sin: odd [3,5]").run()).resolves.toBeUndefined();
    await expect(named(cases, "cos: odd [3,5]").run()).rejects.toThrow(/passes now; take it off the list/);
    await expect(named(cases, "expected divergence: sine: odd").run()).rejects.toThrow(/is no case of this suite/);
  });

  it("fails the protocol when it keeps memory, or forgets a donation", async () => {
    const leaking = (): Backend => ({ ...referenceBackend(), write: referenceBackend().write });
    await expect(named(conformanceCases(leaking), "sin: odd [3,5]").run()).rejects.toThrow();
    const base = referenceBackend();
    const forgetful = (): Backend => ({ ...base, compile: (graph) => base.compile(graph) });
    const donation = "protocol: a donated buffer is taken over and then refused";
    await expect(named(conformanceCases(forgetful), donation).run()).rejects.toThrow(/does not list what it donates/);
  });

  it("fails when it gives other bits the second time", async () => {
    const base = referenceBackend();
    let reads = 0;
    const noisy = (): Backend => ({
      ...base,
      read: async (buffer) => (await base.read(buffer)).map((x) => x * (1 + 2 ** -22 * reads++)),
    });
    await expect(named(conformanceCases(noisy), "tanh: odd [3,5]").run()).rejects.toThrow(/other bits the second time/);
  });
});
