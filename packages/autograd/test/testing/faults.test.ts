import { afterAll, describe, expect, it } from "vitest";
import { referenceBackend } from "../../src/reference/backend.ts";
import {
  catchKernelFault,
  catchRuleFault,
  type FaultReport,
  plantedFaults,
  summarizeFaults,
} from "../../src/testing/faults.ts";

describe("planted faults", () => {
  const reports: FaultReport[] = [];
  for (const fault of plantedFaults) {
    it(`${fault.layer} of ${fault.primitive}: ${fault.name}`, async () => {
      const report = fault.layer === "rule" ? catchRuleFault(fault) : await catchKernelFault(fault, referenceBackend);
      reports.push(report);
      expect(report.caughtBy).not.toEqual([]);
    });
  }

  afterAll(() => {
    console.log(summarizeFaults(reports));
  });
});
