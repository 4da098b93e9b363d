/** The entry to WebGPU that everybody in this process, or on this page, finds. */

/** The workspace's types are Node's, and do not have it. */
export function requestAdapter(): Promise<GPUAdapter | null> {
  const { navigator } = globalThis as unknown as { readonly navigator?: { readonly gpu?: GPU } };
  return navigator?.gpu?.requestAdapter(adapterOptions) ?? Promise.resolve(null);
}

/** What the peers ask for. */
export const adapterOptions = { powerPreference: "high-performance" } as const;
