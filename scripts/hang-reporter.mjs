// A Vitest reporter that ends the run, naming the file, where a test file has not ended after a long time. The timeouts of
// tests cannot do that to code that never yields, and a machine that runs the tests unattended would wait for hours.
/** @import { Reporter, TestModule } from "vitest/node" */

const MINUTES = 15;

/** @implements {Reporter} */
export default class HangReporter {
  /** @type {Map<string, NodeJS.Timeout>} */
  #timers = new Map();

  /** @param {TestModule} module */
  onTestModuleQueued({ id, relativeModuleId }) {
    const end = () => {
      console.error(`\n✗ ${relativeModuleId} has not ended after ${MINUTES} minutes; the tests are given up`);
      process.exit(1);
    };
    this.#timers.set(id, setTimeout(end, MINUTES * 60_000).unref());
  }

  /** @param {TestModule} module */
  onTestModuleEnd({ id }) {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  onTestRunEnd() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
