import { afterAll, describe, expect, it } from "vitest";
import { referenceBackend } from "../../src/reference/backend.ts";
import { conformance } from "../../src/testing/conformance.ts";

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
