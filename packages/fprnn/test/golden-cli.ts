/**
 * `npm run golden`: checks every fixture in a folder, one line per file; `-- --backend wasm` on another backend than the
 * float64 reference.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatVerdict, judgeFixture, TOLERANCE, worstOf } from "./golden-kinds/budgets.ts";
import type { Fixture } from "./golden-kinds/fixture.ts";
import { UnknownKindError } from "./golden-kinds/index.ts";
import { type Place, PLACES, settingOn } from "./golden-kinds/settings.ts";

const folder = process.env["BANACH_GOLDEN"] ?? fileURLToPath(new URL("golden", import.meta.url));
const { name: backend, dtype, open } = chosenPlace();
const files = fixtureFiles();

await using device = await open();
const setting = settingOn(device, dtype);
const width = Math.max(...files.map((name) => name.length));
const notBuilt: string[] = [];
const unknown: string[] = [];
let failed = 0;
for (const name of files) {
  const line = await checkFile(name);
  if (line !== null) console.log(`${name.padEnd(width)}  ${line}`);
}
if (notBuilt.length > 0) console.log(`not built yet (${notBuilt.length}): ${notBuilt.join(", ")}`);
if (unknown.length > 0) console.log(`of unknown kind (${unknown.length}): ${unknown.join(", ")}`);
const checked = files.length - notBuilt.length - unknown.length;
const measure = dtype === "float64" ? `to ${TOLERANCE} relative` : `within the budgets of ${dtype}`;
console.log(`golden: ${checked - failed} of ${checked} files agree ${measure} (${backend})`);
if (failed > 0 || unknown.length > 0) process.exitCode = 1;
else if (checked === 0) {
  console.error(`golden: nothing in ${folder} could be compared`);
  process.exitCode = 2;
}

/** What --backend names; ends the process for anything else. */
function chosenPlace(): Place {
  const names = PLACES.map(({ name }) => name);
  try {
    const { values } = parseArgs({ options: { backend: { type: "string", default: "reference" } } });
    const place = PLACES.find(({ name }) => name === values.backend);
    if (place !== undefined) return place;
    console.error(`golden: no backend is called ${values.backend}; --backend takes ${names.join(", ")}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(`golden: ${message}\n        usage: npm run golden -- [--backend ${names.join("|")}]`);
  }
  return process.exit(2);
}

/** The names of the fixtures; ends the process when there are none. */
function fixtureFiles(): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
    if (names.length > 0) return names.sort();
    console.error(`golden: no .json file in ${folder}`);
  } catch (error) {
    console.error(
      `golden: cannot read the folder ${folder}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return process.exit(2);
}

async function checkFile(name: string): Promise<string | null> {
  try {
    const verdicts = await judgeFixture(setting, JSON.parse(readFileSync(join(folder, name), "utf8")) as Fixture);
    if (verdicts === null) {
      notBuilt.push(name);
      return null;
    }
    const worst = worstOf(verdicts);
    const ok = worst.share <= 1;
    if (!ok) failed++;
    return `${ok ? "ok  " : "FAIL"}  ${formatVerdict(worst)} (${verdicts.length} comparisons)`;
  } catch (error) {
    if (error instanceof UnknownKindError) unknown.push(name);
    else failed++;
    return `FAIL  ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
