import { afterEach, expect, it, vi } from "vitest";
import type * as Finding from "../../src/platform/find-gpu.ts";

/** Makes Dawn's entries in its place. */
const create = vi.hoisted(() => vi.fn<(options: string[]) => object>());
vi.mock("webgpu", () => ({ create }));

/** As a process begins. */
async function cold(): Promise<typeof Finding> {
  vi.resetModules();
  return import("../../src/platform/find-gpu.ts");
}

afterEach(() => create.mockReset());

it("makes one entry for all who ask at once, and for those who ask later", async () => {
  const { findGpu } = await cold();
  create.mockImplementation(() => ({}));
  const [first, second] = await Promise.all([findGpu(), findGpu()]);
  expect(second).toBe(first);
  expect(await findGpu()).toBe(first);
  expect(create).toHaveBeenCalledTimes(1);
});

it("tries again where it failed", async () => {
  const { findGpu } = await cold();
  create.mockImplementationOnce(() => {
    throw new Error("not yet");
  });
  await expect(Promise.all([findGpu(), findGpu()])).rejects.toThrow("not yet");
  const made = {};
  create.mockReturnValue(made);
  expect(await findGpu()).toBe(made);
  expect(create).toHaveBeenCalledTimes(2);
});
