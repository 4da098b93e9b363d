/** `npm run golden`: checks every fixture in a folder against the float64 reference, one line per file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reference } from "@banach/autograd/reference";
import type { Fixture } from "./golden-kinds/fixture.ts";
import { checkFixture, TOLERANCE } from "./golden-kinds/index.ts";

const folder = process.env["BANACH_GOLDEN"] ?? fileURLToPath(new URL("golden", import.meta.url));
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .sort();
if (files.length === 0) {
  console.error(`golden: no .json file in ${folder}`);
  process.exit(2);
}

await using device = await reference();
const width = Math.max(...files.map((name) => name.length));
const notBuilt: string[] = [];
let failed = 0;
for (const name of files) {
  const line = await checkFile(name);
  if (line !== null) console.log(`${name.padEnd(width)}  ${line}`);
}
if (notBuilt.length > 0) console.log(`not built yet (${notBuilt.length}): ${notBuilt.join(", ")}`);
const checked = files.length - notBuilt.length;
console.log(`golden: ${checked - failed} of ${checked} files agree to ${TOLERANCE} relative`);
process.exitCode = failed > 0 ? 1 : 0;

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
    failed++;
    return `FAIL  ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
