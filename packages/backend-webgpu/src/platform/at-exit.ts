/** Ends the devices of a process with it: Dawn crashes where work is pending when `process.exit` is called. */
/// <reference types="@webgpu/types" />

/** The part of a process that is looked at; pages have none. */
interface Globals {
  readonly process?: { readonly once?: (event: "exit", listener: () => void) => unknown };
}

/** Held weakly: a device may go before the process does. */
const open = new Set<WeakRef<GPUDevice>>();
let isListening = false;

/** Destroys a device when the process ends, unless it is lost by then. */
export function destroyAtExit(device: GPUDevice): void {
  const { process } = globalThis as Globals;
  if (typeof process?.once !== "function") return;
  const reference = new WeakRef(device);
  open.add(reference);
  void device.lost.then(() => open.delete(reference));
  if (isListening) return;
  isListening = true;
  process.once("exit", () => {
    for (const each of open) each.deref()?.destroy();
  });
}
