/** What `banach doctor` says of WebGPU: the adapters of this machine, or why there are none. */
import { BackendUnavailableError } from "@banach/autograd";
import { type AdapterDescription, type AdapterReport, describeAdapters } from "@banach/backend-webgpu";
import { formatBytes } from "./format.ts";

export interface WebGpuFinding {
  /** Why no adapter could be asked for; null if some were. */
  readonly problem: string | null;
  readonly adapters: readonly AdapterReport[];
}

/** Those that programs or measurements can use. */
const FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;

export async function examineWebGpu(): Promise<WebGpuFinding> {
  try {
    return { problem: null, adapters: await describeAdapters() };
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    return { problem: error.message, adapters: [] };
  }
}

/** A line for each adapter with the ways to get it, and what it offers. */
export function describeWebGpu({ problem, adapters }: WebGpuFinding): readonly string[] {
  if (problem !== null) return [`WebGPU        ${problem}`];
  const waysTo = new Map<string, { readonly adapter: AdapterDescription | null; readonly ways: string[] }>();
  for (const { request, adapter } of adapters) {
    const key = JSON.stringify(adapter);
    const known = waysTo.get(key) ?? { adapter, ways: [] };
    known.ways.push(request);
    waysTo.set(key, known);
  }
  return [...waysTo.values()].flatMap(({ adapter, ways }) => {
    if (adapter === null) return [`WebGPU        no adapter (${ways.join(", ")})`];
    return [
      `WebGPU        ${adapter.name}${adapter.isFallback ? ", in software" : ""} (${ways.join(", ")})`,
      `  limits      ${describeLimits(adapter)}`,
      `  features    ${FEATURES.map((name) => `${name} ${adapter.features.includes(name) ? "yes" : "no"}`).join(", ")}`,
    ];
  });
}

function describeLimits({ limits }: AdapterDescription): string {
  return [
    `buffers ${formatBytes(limits.maxBufferSize)}`,
    `bindings ${formatBytes(limits.maxStorageBufferBindingSize)}`,
    `${limits.maxStorageBuffersPerShaderStage} of them per shader`,
    `workgroups of ${limits.maxComputeInvocationsPerWorkgroup} with ${Math.floor(limits.maxComputeWorkgroupStorageSize / 1024)} KiB`,
  ].join(", ");
}
