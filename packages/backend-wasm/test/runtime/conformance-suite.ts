/** The conformance suite on every device that a host can open, for the test files of Node and of pages. */
import { conformance, strictBudgets } from "@banach/autograd/testing";
import { describe, expect, it } from "vitest";
import { wasmBackend, type WasmOptions } from "../../src/runtime/backend.ts";

export type Host = "node" | "page" | "isolated page";

/** Two threads share whatever can be shared, however small. */
const two: WasmOptions = { threads: 2, grain: { step: 0, program: 0 } };
const one: WasmOptions = { threads: 1 };
const devices: readonly WasmOptions[] = [one, two, { ...one, relaxed: true }, { ...two, relaxed: true }];

/** What a device of two threads says of them. Only an isolated page may share memory. */
const notes: Readonly<Record<Host, RegExp>> = {
  node: /^2 threads: as asked for$/,
  page: /^1 thread: there is no SharedArrayBuffer/,
  "isolated page": /^2 threads: as asked for$/,
};

/** Declares the tests. */
export function testConformance(host: Host): void {
  for (const options of devices) {
    const suite = conformance(() => wasmBackend(options), { budgets: strictBudgets });
    describe(`conformance of wasm in ${host}, options ${JSON.stringify(options)}`, () => {
      it("says how many threads it has, and why", async () => {
        await using backend = await wasmBackend(options);
        expect(backend.notes?.[0]).toMatch(options.threads === 1 ? /^1 thread: as asked for$/ : notes[host]);
      });
      for (const { name, run } of suite.cases) it(name, run);
    });
  }
}
