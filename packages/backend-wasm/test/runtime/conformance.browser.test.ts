import { expect, inject, it } from "vitest";
import { testConformance } from "./conformance-suite.ts";

const isolated = inject("isolated");

it(isolated ? "the page is isolated and shares memory" : "the page is not isolated and shares no memory", () => {
  expect("document" in globalThis).toBe(true);
  expect(Reflect.get(globalThis, "crossOriginIsolated")).toBe(isolated);
  expect("SharedArrayBuffer" in globalThis).toBe(isolated);
});

testConformance(isolated ? "isolated page" : "page");
