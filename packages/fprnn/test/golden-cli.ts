/** `npm run golden`: checks every fixture in a folder against the float64 reference, one line per file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reference } from "@banach/autograd/reference";
import type { Fixture } from "./golden-kinds/fixture.ts";
import { checkFixture, TOLERANCE, UnknownKindError } from "./golden-kinds/index.ts";

const folder = process.env["BANACH_GOLDEN"] ?? fileURLToPath(new URL("golden", import.meta.url));
const files = fixtureFiles();

await using device = await reference();
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
console.log(`golden: ${checked - failed} of ${checked} files agree to ${TOLERANCE} relative`);
if (failed > 0 || unknown.length > 0) process.exitCode = 1;
else if (checked === 0) {
  console.error(`golden: nothing in ${folder} could be compared`);
  process.exitCode = 2;
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
    const comparisons = await checkFixture(device, JSON.parse(readFileSync(join(folder, name), "utf8")) as Fixture);
    if (comparisons === null) {
      notBuilt.push(name);
      return null;
    }
    const worst = comparisons.reduce((a, b) => (b.error > a.error ? b : a));
    const ok = worst.error <= TOLERANCE;
    if (!ok) failed++;
    return `${ok ? "ok  " : "FAIL"}  ${worst.error.toExponential(1)}  (${comparisons.length} comparisons, worst: ${worst.what})`;
  } catch (error) {
    if (error instanceof UnknownKindError) unknown.push(name);
    else failed++;
    return `FAIL  ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
