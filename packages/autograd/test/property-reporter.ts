/** Prints, after the summary, how many properties the test files asserted and on how many cases, and what else they counted. */
import type { Reporter, TestModule } from "vitest/node";
import type { PropertyCounts } from "./properties.ts";

const line = ({ properties, cases }: PropertyCounts): string =>
  `properties: ${properties} ${properties === 1 ? "property" : "properties"}, ${cases} cases`;

export default class PropertyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      for (const text of module.meta().reportLines ?? []) console.log(`${text} in ${module.relativeModuleId}`);
    }
    const counted = modules
      .flatMap((module) => {
        const counts = module.meta().propertyCounts;
        return counts === undefined ? [] : [{ file: module.relativeModuleId, ...counts }];
      })
      .sort((a, b) => a.file.localeCompare(b.file));
    if (counted.length === 0) return;
    for (const counts of counted) console.log(`${line(counts)} in ${counts.file}`);
    const sum = (key: keyof PropertyCounts): number => counted.reduce((total, counts) => total + counts[key], 0);
    console.log(`${line({ properties: sum("properties"), cases: sum("cases") })} in ${counted.length} files\n`);
  }
}
