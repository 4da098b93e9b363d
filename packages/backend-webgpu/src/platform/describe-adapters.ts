/** What adapters there are, for people who want to know why a backend does not start, or what it runs on. */
/// <reference types="@webgpu/types" />
import { findGpu } from "./find-gpu.ts";
import { LIMIT_NAMES, type LimitName, nameOf } from "./open-device.ts";

/** Ways to ask for an adapter. */
const REQUESTS: Readonly<Record<AdapterRequest, GPURequestAdapterOptions>> = {
  default: {},
  "high-performance": { powerPreference: "high-performance" },
  "low-power": { powerPreference: "low-power" },
  fallback: { forceFallbackAdapter: true },
};

export type AdapterRequest = "default" | "high-performance" | "low-power" | "fallback";

export interface AdapterDescription {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  /** Whether it computes in software, as far as the platform says. */
  readonly isFallback: boolean;
  /** Sorted. */
  readonly features: readonly string[];
  /** Those that make a difference here; bytes or numbers of things. */
  readonly limits: Readonly<Record<LimitName, number>>;
}

export interface AdapterReport {
  readonly request: AdapterRequest;
  /** Null if there is none. */
  readonly adapter: AdapterDescription | null;
}

/**
 * What each way to ask for an adapter gives. Opens no device. Rejects with BackendUnavailableError where there is no
 * WebGPU to ask.
 */
export async function describeAdapters(): Promise<readonly AdapterReport[]> {
  const gpu = await findGpu();
  const reports: AdapterReport[] = [];
  for (const [request, options] of Object.entries(REQUESTS)) {
    const adapter = await gpu.requestAdapter(options).catch(() => null);
    reports.push({
      request: request as AdapterRequest,
      adapter: adapter === null ? null : describe(adapter),
    });
  }
  return reports;
}

function describe(adapter: GPUAdapter): AdapterDescription {
  const { info, features, limits } = adapter;
  return {
    name: nameOf(adapter),
    vendor: info.vendor,
    architecture: info.architecture,
    isFallback: info.isFallbackAdapter,
    features: [...features].sort(),
    limits: Object.fromEntries(LIMIT_NAMES.map((name) => [name, limits[name]])) as Record<LimitName, number>,
  };
}
