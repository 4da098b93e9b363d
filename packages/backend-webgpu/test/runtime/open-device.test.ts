/** Devices are asked for as much as is of use, and for less where that is refused. */
import { BackendUnavailableError } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { findGpu } from "../../src/platform/find-gpu.ts";
import { type OpenedDevice, openDevice, type WebGpuOptions } from "../../src/platform/open-device.ts";
import { strangeDevice } from "../strange-device.ts";
import { overridden } from "./fake-device.ts";
import { failure } from "./support.ts";

/** Opens a device of adapters that refuse some requests, each of which may be asked once. */
async function openWhere(
  isRefused: (descriptor: GPUDeviceDescriptor) => boolean,
  options: WebGpuOptions,
  asked: GPUDeviceDescriptor[] = [],
): Promise<OpenedDevice> {
  const gpu = await findGpu();
  const { requestAdapter } = gpu;
  gpu.requestAdapter = async (adapterOptions) => {
    const adapter = await requestAdapter.call(gpu, adapterOptions);
    if (adapter === null) return null;
    let isSpent = false;
    const requestDevice = async (descriptor: GPUDeviceDescriptor): Promise<GPUDevice> => {
      if (isSpent) throw new Error("an adapter was asked twice");
      isSpent = true;
      asked.push(descriptor);
      if (isRefused(descriptor)) throw new Error(`refusal ${asked.length}`);
      return adapter.requestDevice(descriptor);
    };
    return overridden(adapter, { requestDevice });
  };
  try {
    return await openDevice(options);
  } finally {
    gpu.requestAdapter = requestAdapter;
  }
}

const hasSubgroups = ({ requiredFeatures = [] }: GPUDeviceDescriptor): boolean =>
  [...requiredFeatures].includes("subgroups");
const hasLimits = ({ requiredLimits = {} }: GPUDeviceDescriptor): boolean => Object.keys(requiredLimits).length > 0;

const named = (limits: string): unknown => expect.stringMatching(new RegExp(`^.+, limits ${limits}$`));
const OF_ADAPTER = named("of the adapter");
const OF_ANY = named("that every device has");
const AS_ASKED = named("as asked for");
const TOGETHER = expect.stringMatching(/^subgroups of \d+$/) as unknown;
const LIMITS = { maxStorageBuffersPerShaderStage: 9 };

describe("a device", () => {
  it.each([
    ["nothing", () => false, {}, [OF_ADAPTER, TOGETHER]],
    ["nothing", () => false, { limits: LIMITS }, [AS_ASKED, TOGETHER]],
    ["nothing", () => false, { subgroups: false }, [OF_ADAPTER]],
    ["subgroups", hasSubgroups, {}, [OF_ADAPTER, "without subgroups", "more was refused: refusal 1"]],
    ["subgroups", hasSubgroups, { limits: LIMITS }, [AS_ASKED, "without subgroups", "more was refused: refusal 1"]],
    ["its limits", hasLimits, {}, [OF_ANY, "more was refused: refusal 1", TOGETHER]],
    ["its limits", hasLimits, { subgroups: false }, [OF_ANY, "more was refused: refusal 1"]],
    [
      "both",
      (asked: GPUDeviceDescriptor) => hasSubgroups(asked) || hasLimits(asked),
      {},
      [OF_ANY, "without subgroups", "more was refused: refusal 1"],
    ],
  ] as const)("of an adapter that refuses %s, %#", async (_, isRefused, options, notes) => {
    const opened = await openWhere(isRefused, options);
    const { device, limits } = opened;
    expect(opened.notes).toEqual(notes);
    expect(opened.isOwn).toBe(true);
    expect(limits.subgroup > 1).toBe(notes.includes(TOGETHER as never));
    expect(device.features.has("subgroups")).toBe(limits.subgroup > 1);
    if ("limits" in options) expect(device.limits).toMatchObject(LIMITS);
    device.destroy();
  });

  it.each([
    [{}, 4],
    [{ limits: LIMITS }, 2],
    [{ limits: LIMITS, subgroups: false }, 1],
  ])("of an adapter that refuses everything there is none, whatever is asked for: %o", async (options, times) => {
    const asked: GPUDeviceDescriptor[] = [];
    const error = await failure(() => openWhere(() => true, options, asked));
    expect(error).toBeInstanceOf(BackendUnavailableError);
    expect(error.message).toBe("webgpu: no device: refusal 1");
    expect(asked).toHaveLength(times);
  });

  it("of the caller has subgroups if it was requested with them", async () => {
    const [one, other] = [await strangeDevice({ subgroups: true }), await strangeDevice({})];
    expect((await openDevice({ device: one })).notes).toEqual(["the caller's device", TOGETHER]);
    expect((await openDevice({ device: one, subgroups: false })).notes).toEqual(["the caller's device"]);
    expect((await openDevice({ device: other })).notes).toEqual(["the caller's device"]);
    for (const device of [one, other]) device.destroy();
  });
});
