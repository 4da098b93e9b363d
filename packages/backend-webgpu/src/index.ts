/// <reference types="@webgpu/types" preserve="true" />
/** @banach/backend-webgpu: programs as WGSL compute shaders, written at run time; browsers, and Node through Dawn. */
import { Device } from "@banach/autograd";
import { webgpuBackend } from "./runtime/backend.ts";
import type { WebGpuOptions } from "./platform/open-device.ts";

export { describeAdapters } from "./platform/describe-adapters.ts";
export type { AdapterDescription, AdapterReport, AdapterRequest } from "./platform/describe-adapters.ts";
export type { LimitName, WebGpuOptions } from "./platform/open-device.ts";
export { webgpuBackend } from "./runtime/backend.ts";

/**
 * Starts the backend. Importing this module touches nothing; in Node the package `webgpu` is loaded here.
 * Rejects with BackendUnavailableError, saying what is missing, where it cannot run.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<Device> {
  return new Device(await webgpuBackend(options));
}
