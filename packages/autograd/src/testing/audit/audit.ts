/** The gradient audit: every differentiation rule on every sample, in float64 on the reference, up the rungs. */
import { BanachError } from "../../errors.ts";
import type { Atom } from "../../ir/graph.ts";
import { PRIMITIVES, type PrimitiveName } from "../../ir/primitives.ts";
import { isFloat } from "../../ir/tensor-type.ts";
import type { VjpTable } from "../../vjp/rule.ts";
import { vjpTable } from "../../vjp/table.ts";
import { sampleGraph } from "../sample.ts";
import { allSamples, type NamedSample } from "../samples.ts";
import {
  attempt,
  complexRung,
  dotRung,
  richardsonRung,
  type RungName,
  type RungResult,
  secondRung,
  taylorRung,
} from "./rungs.ts";
import { domainSizes, makeSubject, refusal, type Subject } from "./subject.ts";

export interface AuditOptions {
  /** Default: all. */
  readonly primitives?: readonly PrimitiveName[];
  /** Only samples whose name contains this, e.g. a shape as `[1,3,1]`. */
  readonly only?: string;
  /** Default 0x5eed. */
  readonly seed?: number;
}

/** How a rule did on a sample. */
export interface SampleAudit {
  readonly primitive: PrimitiveName;
  readonly sample: string;
  readonly passed: boolean;
  /**
   * `differentiated`: the rungs tell. `refused`: the rule throws with a reason, as it must for a primitive without a
   * derivative. `discrete`: no float depends on a float. `empty`: nothing to differentiate by.
   */
  readonly kind: "differentiated" | "refused" | "discrete" | "empty";
  readonly rungs: readonly RungResult[];
  /** A command that runs this sample alone. */
  readonly reproducer: string;
}

const DEFAULT_SEED = 0x5eed;

/** Audits the rules of a table, which may hold planted faults. Samples marked as no evidence are left out. */
export function auditVjp(table: VjpTable = vjpTable, options: AuditOptions = {}): readonly SampleAudit[] {
  const { primitives = PRIMITIVES, only = "", seed = DEFAULT_SEED } = options;
  return allSamples()
    .filter(({ primitive, sample }) => primitives.includes(primitive) && sample.name.includes(only))
    .filter(({ sample }) => sample.wrt?.length !== 0)
    .map((named) => auditSample(named, table, seed));
}

/** The command that runs one sample alone. */
export function reproducer(primitive: PrimitiveName, sample: NamedSample["sample"], seed: number): string {
  const shapes = sample.inputs.map(({ type }) => type.shape.join(",")).join(":");
  return `npm run audit -- --op ${primitive} --shape ${shapes === "" ? "any" : shapes} --seed 0x${seed.toString(16)}`;
}

function auditSample(named: NamedSample, table: VjpTable, seed: number): SampleAudit {
  const { primitive, sample } = named;
  const base = { primitive, sample: sample.name, reproducer: reproducer(primitive, sample, seed) };
  const graph = sampleGraph(primitive, sample as never);
  const hasFloat = (atoms: readonly Atom[]): boolean => atoms.some(({ type }) => isFloat(type.dtype));
  if (!hasFloat(graph.inputs) || !hasFloat(graph.outputs)) {
    return { ...base, passed: true, kind: "discrete", rungs: [] };
  }
  const rule = table[primitive];
  if (typeof rule === "object" && "notDifferentiable" in rule) {
    const message = refusal(() => makeSubject(named, table, seed));
    return { ...base, passed: message?.includes(rule.notDifferentiable) === true, kind: "refused", rungs: [] };
  }
  return { ...base, ...climb(named, table, seed) };
}

type Climbed = Pick<SampleAudit, "passed" | "kind" | "rungs">;

const RUNGS: readonly (readonly [RungName, (subject: Subject) => RungResult])[] = [
  ["complex", complexRung],
  ["richardson", richardsonRung],
  ["dot", dotRung],
  ["taylor", taylorRung],
  ["second", secondRung],
];

/** The subject, or why the rule could not even be built. */
function attemptSubject(named: NamedSample, table: VjpTable, seed: number): Subject | RungResult {
  try {
    return makeSubject(named, table, seed);
  } catch (error) {
    if (!(error instanceof BanachError)) throw error;
    return { rung: "dot", status: "failed", error: NaN, detail: error.message };
  }
}

function climb(named: NamedSample, table: VjpTable, seed: number): Climbed {
  const made = attemptSubject(named, table, seed);
  if ("rung" in made) return { passed: false, kind: "differentiated", rungs: [made] };
  const isEmpty = domainSizes(made).every((size) => size === 0);
  const rungs = RUNGS.map(([rung, climbRung]) => attempt(rung, () => climbRung(made)));
  const failed = rungs.some(({ status }) => status === "failed");
  // Two rungs of different kinds are the least evidence that counts.
  const evidence = rungs.filter(({ status }) => status === "passed").length;
  return { passed: !failed && evidence >= 2, kind: isEmpty ? "empty" : "differentiated", rungs };
}

/** One line for the end of a test run. Samples without elements pass their rungs trivially and are not counted there. */
export function summarizeAudit(audits: readonly SampleAudit[]): string {
  const rules = new Set(audits.map(({ primitive }) => primitive)).size;
  const of = (kind: SampleAudit["kind"]): readonly SampleAudit[] => audits.filter((audit) => audit.kind === kind);
  const rungs = of("differentiated").flatMap((audit) => audit.rungs);
  const count = (rung: RungName): string =>
    `${rung} ${rungs.filter((r) => r.rung === rung && r.status === "passed").length}`;
  const failed = audits.filter(({ passed }) => !passed).length;
  const rest = `${of("empty").length} empty, ${of("discrete").length} discrete, ${of("refused").length} refused with a reason`;
  return (
    `audit: ${rules} rules, ${audits.length} samples, ${failed} failed; ${of("differentiated").length} differentiated` +
    ` (passed ${RUNGS.map(([rung]) => count(rung)).join(", ")}), ${rest}`
  );
}
