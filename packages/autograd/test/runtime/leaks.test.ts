import { describe, expect, it, vi } from "vitest";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

/** A registry that can be told that an object is gone, in place of the garbage collector. */
class FakeRegistry {
  static all: FakeRegistry[] = [];
  readonly held = new Map<unknown, unknown>();
  readonly callback: (value: unknown) => void;

  constructor(callback: (value: unknown) => void) {
    this.callback = callback;
    FakeRegistry.all.push(this);
  }

  register(_: unknown, value: unknown, token: unknown): void {
    this.held.set(token, value);
  }

  unregister(token: unknown): void {
    this.held.delete(token);
  }

  collect(): void {
    for (const value of this.held.values()) this.callback(value);
    this.held.clear();
  }
}

describe("the leak report", () => {
  it("is silent on copies of what functions closed over, which go with their tensors", async () => {
    vi.stubGlobal("FinalizationRegistry", FakeRegistry);
    FakeRegistry.all = [];
    try {
      const { reference } = await import("../../src/reference/index.ts");
      const { add } = await import("../../src/ops/index.ts");
      const device = await reference();
      const h = array([1, 2]);
      (await device.run((x: Tracer) => add(x, h), 1)).dispose();
      expect(device.memory().liveBuffers).toBe(1);
      for (const registry of FakeRegistry.all) registry.collect();
      expect(device.leaks()).toEqual([]);
      expect(device.memory().liveBuffers).toBe(0);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("counts arrays that are dropped without dispose, and only those", async () => {
    vi.stubGlobal("FinalizationRegistry", FakeRegistry);
    try {
      const { reference } = await import("../../src/reference/index.ts");
      const device = await reference();
      const [kept] = [device.put(array([1, 2])), device.put(array([3, 4])), device.put(array([1, 2, 3]))];
      kept.dispose();
      expect(device.leaks()).toEqual([]);
      for (const registry of FakeRegistry.all) registry.collect();
      expect(device.leaks().map(({ type, count, bytes }) => ({ type, count, bytes }))).toEqual([
        { type: "float32[3]", count: 1, bytes: 12 },
        { type: "float32[2]", count: 1, bytes: 8 },
      ]);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
