/** Runs before every test file: counts the properties that it asserts and their cases, for `property-reporter.ts`. */
import fc from "fast-check";
import { afterAll } from "vitest";

export interface PropertyCounts {
  readonly properties: number;
  readonly cases: number;
}

declare module "vitest" {
  interface TaskMeta {
    propertyCounts?: PropertyCounts;
    /** What else a test file counted, a line each. */
    reportLines?: readonly string[];
  }
}

let properties = 0;
let cases = 0;

/** A variable, because the type of the global parameters leaves the plugins out, which are global all the same. */
const counting: fc.Parameters<unknown> = {
  plugins: [
    () => ({
      onAllRunsComplete: ({ failed, numRuns }) => {
        // fc.check also comes here, for properties that are expected to fail.
        if (failed) return;
        properties++;
        cases += numRuns;
      },
    }),
  ],
};
fc.configureGlobal({ ...fc.readConfigureGlobal(), ...counting });

// Vitest reads the empty pattern: the hook wants no fixture.
afterAll(({}, { file }) => {
  if (properties > 0) file.meta.propertyCounts = { properties, cases };
});
