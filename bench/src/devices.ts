/** The ways in which our own programs are run. */
import type { Device } from "@banach/autograd";
import { wasm, type WasmOptions } from "@banach/backend-wasm";
import { banach } from "./banach.ts";
import type { Framework } from "./framework.ts";
import type { Ours } from "./race.ts";
import { withRelaxedSimd } from "./relaxed.ts";

/** Base SIMD on one thread or two, or relaxed SIMD on one; on WebGPU with loops in one kernel, or as kernels of their own. */
export type Setting = WasmSetting | "fused" | "composed";

type WasmSetting = "1 thread" | "2 threads" | "relaxed SIMD";

const options: Readonly<Record<WasmSetting, WasmOptions>> = {
  "1 thread": { threads: 1 },
  "2 threads": { threads: 2 },
  "relaxed SIMD": { threads: 1, relaxed: true },
};

export interface OurDevices extends Ours, AsyncDisposable {}

/** Opened when first asked for. A framework's name is its setting. */
export function ourDevices(): OurDevices {
  const opened = new Map<Setting, Promise<Device>>();
  return {
    on: async (setting = "1 thread") => {
      if (setting === "fused" || setting === "composed") throw new Error(`${setting} is a setting of WebGPU`);
      const { relaxed = false } = options[setting];
      const allowed = relaxed ? withRelaxedSimd : <T>(work: () => Promise<T>): Promise<T> => work();
      const opening = opened.get(setting) ?? allowed(() => wasm(options[setting]));
      opened.set(setting, opening);
      const framework = banach(await opening, setting);
      if (!relaxed) return framework;
      const prepare: Framework["prepare"] = (work) =>
        allowed(async () => {
          const task = await framework.prepare(work);
          // Programs are compiled when they first run.
          await task?.run();
          return task;
        });
      return { ...framework, prepare };
    },
    [Symbol.asyncDispose]: async () => {
      for (const opening of opened.values()) await (await opening)[Symbol.asyncDispose]();
    },
  };
}
