/** Who audits the auditor: plants faults in copies of rules and kernels, and counts how many the checks catch. */
import type { PrimitiveName } from "../ir/primitives.ts";
import { auditVjp } from "./audit/audit.ts";
import { ConformanceError } from "./conformance/compare.ts";
import { conformance, type OpenBackend } from "./conformance.ts";
import type { Fault, KernelFault, RuleFault } from "./faults/fault.ts";
import { kernelFaults, withFault } from "./faults/kernel-faults.ts";
import { ruleFaults } from "./faults/rule-faults.ts";

export interface FaultReport {
  readonly name: string;
  readonly layer: Fault["layer"];
  readonly primitive: PrimitiveName;
  /** What caught it: names of rungs, or of conformance cases. Empty if nothing did. */
  readonly caughtBy: readonly string[];
}

/** Every planted fault. */
export const plantedFaults: readonly Fault[] = [...ruleFaults, ...kernelFaults];

/** Audits the table with the fault in it; each rung that fails on some sample counts. */
export function catchRuleFault({ name, primitive, table }: RuleFault): FaultReport {
  const failed = auditVjp(table, { primitives: [primitive] }).flatMap(({ rungs }) =>
    rungs.filter(({ status }) => status === "failed").map(({ rung }) => rung),
  );
  return { name, layer: "rule", primitive, caughtBy: [...new Set(failed)] };
}

/** Runs the conformance cases of the primitive on the backend with the fault in it; each that fails counts. */
export async function catchKernelFault(fault: KernelFault, open: OpenBackend): Promise<FaultReport> {
  const { cases } = conformance(async () => withFault(await open(), fault));
  const caughtBy: string[] = [];
  for (const { name, run } of cases.filter((one) => one.name.startsWith(`${fault.primitive}:`))) {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof ConformanceError)) throw error;
      caughtBy.push(name);
    }
  }
  return { name: fault.name, layer: "kernel", primitive: fault.primitive, caughtBy };
}

/** Every planted fault, rules by the audit and kernels by the conformance suite on a backend from `open`. */
export async function catchPlantedFaults(open: OpenBackend): Promise<readonly FaultReport[]> {
  const reports = ruleFaults.map(catchRuleFault);
  for (const fault of kernelFaults) reports.push(await catchKernelFault(fault, open));
  return reports;
}

/** What caught a fault, in a few words. */
export function describeCatch({ layer, caughtBy }: FaultReport): string {
  if (caughtBy.length === 0) return "NOT CAUGHT";
  return layer === "rule" ? caughtBy.join(", ") : `${caughtBy.length} conformance cases, e.g. ${caughtBy[0] ?? ""}`;
}

/** One line: `k of k caught`, and how many faults each rung, or the conformance suite, caught. */
export function summarizeFaults(reports: readonly FaultReport[]): string {
  const caught = reports.filter(({ caughtBy }) => caughtBy.length > 0);
  const rules = caught.filter(({ layer }) => layer === "rule");
  const rungs = [...new Set(rules.flatMap(({ caughtBy }) => caughtBy))].map(
    (rung) => `${rung} ${rules.filter(({ caughtBy }) => caughtBy.includes(rung)).length}`,
  );
  return (
    `planted faults: ${caught.length} of ${reports.length} caught` +
    ` (${rules.length} in rules, by ${rungs.join(", ")}; ${caught.length - rules.length} in kernels, by conformance)`
  );
}
