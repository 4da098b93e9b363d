/** `npm run audit`: audits differentiation rules and prints a table of the worst error of each rung. */
import { isPrimitive, PRIMITIVES, type PrimitiveName } from "../src/ir/primitives.ts";
import { referenceBackend } from "../src/reference/backend.ts";
import { auditVjp, type RungName, type SampleAudit, summarizeAudit } from "../src/testing/audit/index.ts";
import { catchPlantedFaults, describeCatch, summarizeFaults } from "../src/testing/faults.ts";

const USAGE = `usage: npm run audit -- [--op NAME] [--shape 1,3,1[:1,3,1]] [--seed 0x5eed] | --faults

  --op     one primitive; default all
  --shape  only samples whose operands have these shapes, e.g. 3,5:5,2; one shape matches any operand
  --seed   of the samples' data; default 0x5eed
  --faults plants faults in rules and kernels instead, and says what caught each`;

function refuse(message: string): never {
  console.error(`audit: ${message}\n\n${USAGE}`);
  process.exit(2);
}

const options = new Map<string, string>();
const args = process.argv.slice(2);
for (let i = 0; i < args.length; i += 2) {
  const [name, value] = [args[i] ?? "", args[i + 1]];
  if (name === "--help") {
    console.log(USAGE);
    process.exit(0);
  }
  if (name === "--faults") {
    const reports = await catchPlantedFaults(referenceBackend);
    for (const report of reports) {
      console.log(`${report.layer} of ${report.primitive}, ${report.name}: ${describeCatch(report)}`);
    }
    console.log(`\n${summarizeFaults(reports)}`);
    process.exit(reports.every(({ caughtBy }) => caughtBy.length > 0) ? 0 : 1);
  }
  if (!["--op", "--shape", "--seed"].includes(name)) refuse(`unknown option ${name}`);
  if (value === undefined) refuse(`${name} needs a value`);
  options.set(name, value);
}

const op = options.get("--op");
if (op !== undefined && !isPrimitive(op)) refuse(`no primitive is called ${op}; there are ${PRIMITIVES.join(", ")}`);
const seed = Number(options.get("--seed") ?? 0x5eed);
if (!Number.isSafeInteger(seed) || seed < 0) refuse(`--seed must be a non-negative integer`);
const shape = options.get("--shape");
const only = shape === undefined || shape === "any" ? "" : `[${shape.split(":").join("][")}]`;

const primitives: readonly PrimitiveName[] = op === undefined ? PRIMITIVES : [op];
const audits = primitives.flatMap((primitive) => auditVjp(undefined, { primitives: [primitive], only, seed }));
if (audits.length === 0) refuse("no sample matches");

const RUNGS: readonly RungName[] = ["complex", "richardson", "dot", "taylor", "second"];

/** The worst error of a rung, marked where it failed; a dash where it did not apply. */
function cell(group: readonly SampleAudit[], rung: RungName): string {
  const results = group.flatMap(({ rungs }) => rungs.filter((r) => r.rung === rung && r.status !== "refused"));
  if (results.length === 0) return "-";
  const worst = results.map(({ error }) => error).reduce((a, b) => Math.max(a, b), 0);
  return `${worst === 0 ? "0" : worst.toExponential(1)}${results.some(({ status }) => status === "failed") ? " !" : ""}`;
}

const groups = primitives.flatMap((primitive) => {
  const own = audits.filter((audit) => audit.primitive === primitive);
  if (op === undefined) return own.length === 0 ? [] : [{ name: primitive, samples: own }];
  return own.map((audit) => ({ name: audit.sample, samples: [audit] }));
});
const rows = groups.map(({ name, samples }) => {
  const kinds = [...new Set(samples.map(({ kind }) => kind))].filter((kind) => kind !== "differentiated");
  const cells = RUNGS.map((rung) => cell(samples, rung));
  const verdict = samples.every(({ passed }) => passed) ? "ok" : "FAILED";
  return [name, String(samples.length), ...cells, `${verdict}${kinds.length > 0 ? ` (${kinds.join(", ")})` : ""}`];
});
const header = [op === undefined ? "primitive" : `sample of ${op}`, "samples", ...RUNGS, ""];
const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
for (const row of [header, ...rows])
  console.log(
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );

console.log(`\n${summarizeAudit(audits)}`);
console.log("Columns are the worst relative error of each rung (taylor: distance of the slope from 2).");
for (const { rungs, primitive, sample, reproducer } of audits.filter(({ passed }) => !passed)) {
  console.log(`\n${primitive} ${sample}`);
  for (const { rung, status, error, detail } of rungs) {
    console.log(`  ${rung} ${status}, error ${error.toExponential(2)}: ${detail}`);
  }
  console.log(`  ${reproducer}`);
}
process.exitCode = audits.every(({ passed }) => passed) ? 0 : 1;
