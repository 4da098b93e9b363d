/** Where WebGPU comes from: the page, or in Node the package `webgpu`. */
/// <reference types="@webgpu/types" />
import { BackendUnavailableError } from "@banach/autograd/backend";

/** Of the package; a name that bundlers for browsers do not follow. */
const DAWN = "webgpu";

/**
 * Has workgroup memory set to zero by a loop rather than by the driver. SwiftShader's driver writes that out element by
 * element: 16 KiB take 3.3 s to compile, and 0.01 s with a loop. No other driver was seen to mind.
 */
const LOOPED_ZEROS = "disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension";

/** The part of a page's or a process's globals that is looked at. */
interface Globals {
  readonly navigator?: { readonly gpu?: GPU };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/** Of this process, from the first call on: Dawn crashes when an entry is collected before what was made with it. */
let dawnGpu: Promise<GPU> | undefined;

/** The entry to WebGPU. Rejects with BackendUnavailableError, saying what to install. */
export async function findGpu(): Promise<GPU> {
  const { navigator, process } = globalThis as Globals;
  if (navigator?.gpu !== undefined) return navigator.gpu;
  if (process?.versions?.node === undefined) {
    throw new BackendUnavailableError(
      "webgpu: this browser has no navigator.gpu; use a current one, on a page that is served by https or localhost",
    );
  }
  dawnGpu ??= openDawn().catch((error: unknown) => {
    // It may be installed by the next time.
    dawnGpu = undefined;
    throw error;
  });
  return dawnGpu;
}

async function openDawn(): Promise<GPU> {
  let dawn: { readonly create: (options: string[]) => GPU };
  try {
    dawn = (await import(/* @vite-ignore */ DAWN)) as typeof dawn;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new BackendUnavailableError(`webgpu: in Node the package webgpu is needed (npm i webgpu@0.6.2): ${why}`, {
      cause,
    });
  }
  return dawn.create([LOOPED_ZEROS]);
}
