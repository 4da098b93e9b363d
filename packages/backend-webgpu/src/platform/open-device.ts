/** Opens a device, with limits as high as they are of use, or takes the caller's. */
import { ArgumentError, BackendUnavailableError } from "@banach/autograd/backend";
import { HARDWARE, type ShaderLimits, SOFTWARE } from "../codegen/shader-writer.ts";
import { destroyAtExit } from "./at-exit.ts";
import { findGpu } from "./find-gpu.ts";
import { subgroupLanes } from "./subgroups.ts";

export interface WebGpuOptions {
  /** A device that is in use already; it stays its owner's, and is not destroyed with the backend. */
  readonly device?: GPUDevice;
  /** For `requestAdapter`, where no device is given. */
  readonly adapterOptions?: GPURequestAdapterOptions;
  /**
   * Limits to ask for where no device is given: those of the adapter (default), which are what large tensors need, or the
   * ones named, the rest as WebGPU guarantees them everywhere. `{}` is the least that any device has.
   */
  readonly limits?: "adapter" | Readonly<Partial<Record<LimitName, number>>>;
  /**
   * What shaders are written for: a GPU, or a processor that plays one, as SwiftShader and llvmpipe do. Default "auto":
   * what the adapter says that it is. Results differ by rounding.
   */
  readonly tuning?: "auto" | "hardware" | "software";
  /**
   * Whether loops whose rows do not depend on each other, as fixed-point iterations of a batch, are one dispatch each.
   * Default true; false is for comparing.
   */
  readonly fuseLoops?: boolean;
  /**
   * Whether invocations may exchange values within subgroups, where the device has them. Default true; a device that is
   * given has them if it was requested with `subgroups`. Results differ by rounding.
   */
  readonly subgroups?: boolean;
  /** Offers float16 tensors, computed with as float32, where the adapter has shader-f16; default false. */
  readonly float16?: boolean;
}

/** Limits that make a difference here. */
export const LIMIT_NAMES = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly isOwn: boolean;
  readonly limits: ShaderLimits;
  /** Which adapter, what it was asked for, and what it refused; and how many neighbours are together in subgroups. */
  readonly notes: readonly string[];
}

/** Invocations per workgroup: more than this brings nothing, and on a processor keeps a core waiting for another. */
const INVOCATIONS = 256;

export async function openDevice(options: WebGpuOptions): Promise<OpenedDevice> {
  const isOwn = options.device === undefined;
  const { device, notes } = isOwn ? await requestDevice(options) : given(options.device, options);
  if (isOwn) destroyAtExit(device);
  const limits = await shaderLimits(device, options);
  const together = limits.subgroup > 1 ? [`subgroups of ${limits.subgroup}`] : [];
  return { device, isOwn, limits, notes: [...notes, ...together] };
}

type Found = Pick<OpenedDevice, "device" | "notes">;

function given(device: GPUDevice, { adapterOptions, limits, float16 = false }: WebGpuOptions): Found {
  if (adapterOptions !== undefined || limits !== undefined) {
    throw new ArgumentError("webgpu: device comes with its limits; leave out adapterOptions and limits");
  }
  if (float16 && !device.features.has("shader-f16")) {
    throw new BackendUnavailableError("webgpu: float16 needs a device that was requested with shader-f16");
  }
  return { device, notes: ["the caller's device"] };
}

/** Asks for the most and, as some drivers do not keep what their adapter says, for less. */
async function requestDevice(options: WebGpuOptions): Promise<Found> {
  let adapter = await requestAdapter(options.adapterOptions);
  const refusals: unknown[] = [];
  for (const { descriptor, notes } of wishes(adapter, options)) {
    try {
      // One that was asked once is spent.
      if (refusals.length > 0) adapter = await requestAdapter(options.adapterOptions);
      const device = await adapter.requestDevice(descriptor);
      return { device, notes: [...notes, ...refusals.slice(0, 1).map((why) => `more was refused: ${messageOf(why)}`)] };
    } catch (error) {
      refusals.push(error);
    }
  }
  const [cause] = refusals;
  throw new BackendUnavailableError(`webgpu: no device: ${messageOf(cause)}`, { cause });
}

interface Wish {
  readonly descriptor: GPUDeviceDescriptor;
  readonly notes: readonly string[];
}

/** What to ask for, the most first: large tensors need limits, and nothing needs subgroups. */
function wishes(adapter: GPUAdapter, options: WebGpuOptions): readonly Wish[] {
  const { limits = "adapter", float16 = false, subgroups = true } = options;
  const name = nameOf(adapter);
  if (float16 && !adapter.features.has("shader-f16")) {
    throw new BackendUnavailableError(`webgpu: ${name} has no shader-f16; leave out float16`);
  }
  const requiredLimits = limitsToAskFor(adapter, limits);
  const ofLimits =
    limits === "adapter"
      ? [
          { requiredLimits, note: `${name}, limits of the adapter` },
          { requiredLimits: {}, note: `${name}, limits that every device has` },
        ]
      : [{ requiredLimits, note: `${name}, limits as asked for` }];
  const always: readonly GPUFeatureName[] = float16 ? ["shader-f16"] : [];
  const hasThem = subgroups && adapter.features.has("subgroups");
  const ofFeatures = [{ requiredFeatures: always, notes: hasThem ? ["without subgroups"] : [] }];
  if (hasThem) ofFeatures.unshift({ requiredFeatures: [...always, "subgroups"], notes: [] });
  return ofLimits.flatMap(({ requiredLimits, note }) =>
    ofFeatures.map(({ requiredFeatures, notes }) => ({
      descriptor: { label: "banach", requiredFeatures, requiredLimits },
      notes: [note, ...notes],
    })),
  );
}

function limitsToAskFor(adapter: GPUAdapter, limits: NonNullable<WebGpuOptions["limits"]>): Record<string, number> {
  const asked: Record<string, number> = {};
  for (const name of LIMIT_NAMES) {
    const wanted = limits === "adapter" ? adapter.limits[name] : limits[name];
    if (wanted === undefined) continue;
    if (!(wanted <= adapter.limits[name])) {
      throw new BackendUnavailableError(
        `webgpu: ${name} ${wanted} is asked for, and ${nameOf(adapter)} has ${adapter.limits[name]}`,
      );
    }
    asked[name] = wanted;
  }
  return asked;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function requestAdapter(options: GPURequestAdapterOptions | undefined): Promise<GPUAdapter> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter(options);
  if (adapter !== null) return adapter;
  throw new BackendUnavailableError(
    "webgpu: no adapter: there is no GPU with a driver that can be used. On Linux a Vulkan driver is needed, which may " +
      "be one in software, such as SwiftShader, which comes with Chromium: VK_ICD_FILENAMES names its file, e.g. " +
      "/usr/lib/chromium/vk_swiftshader_icd.json. In Chromium see chrome://gpu",
  );
}

/** For people. */
export function nameOf({ info }: GPUAdapter): string {
  const { vendor, architecture, device, description } = info;
  const name = description !== "" ? description : [vendor, architecture, device].filter((x) => x !== "").join(" ");
  return name === "" ? "an adapter without a name" : name;
}

/** Whether a processor plays the GPU. */
function isSoftware({ vendor, architecture, description, isFallbackAdapter }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${vendor} ${architecture} ${description}`);
}

async function shaderLimits(device: GPUDevice, options: WebGpuOptions): Promise<ShaderLimits> {
  const { limits, adapterInfo } = device;
  const { tuning = "auto", subgroups = true } = options;
  const software = tuning === "software" || (tuning === "auto" && isSoftware(adapterInfo));
  const most = Math.min(INVOCATIONS, limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  const invocations = 2 ** Math.floor(Math.log2(most));
  return {
    storageBuffers: limits.maxStorageBuffersPerShaderStage,
    invocations,
    subgroup: subgroups ? await subgroupLanes(device, invocations) : 1,
    workgroupBytes: limits.maxComputeWorkgroupStorageSize,
    workgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    tuning: software ? SOFTWARE : HARDWARE,
  };
}
