import { conformance, strictBudgets } from "@banach/autograd/testing";
import { describe, it } from "vitest";
import { wasmBackend } from "../../src/runtime/backend.ts";

const suite = conformance(() => Promise.resolve(wasmBackend()), { budgets: strictBudgets });

describe("conformance of wasm", () => {
  for (const { name, run } of suite.cases) it(name, run);
});
