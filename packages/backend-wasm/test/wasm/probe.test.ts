/** The probe, against what the versions of Node are known to offer. */
import { afterEach, expect, test, vi } from "vitest";
import { probeFeatures } from "../../src/index.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const [major = 0] = process.versions.node.split(".").map(Number);

test("Node offers everything, and relaxed SIMD from version 22 or behind a flag", () => {
  const { relaxedSimd, ...others } = probeFeatures();
  expect(others).toEqual({
    simd: true,
    threads: true,
    sharedMemory: true,
    bulkMemory: true,
    saturatingConversions: true,
    signExtension: true,
    multiValue: true,
  });
  if (major >= 22) expect(relaxedSimd).toBe(true);
});

test("where WebAssembly is switched off, nothing is offered", () => {
  vi.stubGlobal("WebAssembly", undefined);
  expect(Object.values(probeFeatures()).every((offered) => !offered)).toBe(true);
});

test("a page that is not isolated has the instructions and no memory to share", () => {
  vi.stubGlobal("SharedArrayBuffer", undefined);
  expect(probeFeatures()).toMatchObject({ threads: true, sharedMemory: false });
});
