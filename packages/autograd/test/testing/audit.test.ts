import { describe, expect, it } from "vitest";
import { PRIMITIVES } from "../../src/ir/primitives.ts";
import { auditVjp, summarizeAudit } from "../../src/testing/audit/audit.ts";

describe("the audit of the differentiation rules", () => {
  const audits = PRIMITIVES.flatMap((primitive) => auditVjp(undefined, { primitives: [primitive] }));

  it("passes every rule on every sample", () => {
    const failed = audits.filter(({ passed }) => !passed);
    const lines = failed.map(
      ({ primitive, sample, rungs, reproducer }) =>
        `${primitive} ${sample}: ${rungs.map((r) => `${r.rung} ${r.status} ${r.error.toExponential(1)} (${r.detail})`).join("; ")}\n  ${reproducer}`,
    );
    expect(lines.join("\n")).toBe("");
    console.log(summarizeAudit(audits));
  });
});
