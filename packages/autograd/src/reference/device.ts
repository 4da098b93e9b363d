/** The reference backend as a device, started in one line. */
import { Device } from "../jit/device.ts";
import { referenceBackend, type ReferenceOptions } from "./backend.ts";

/** Starts the plain JavaScript backend: float64 and float32, everywhere, exactly and slowly. */
export function reference(options: ReferenceOptions = {}): Promise<Device> {
  return Promise.resolve(new Device(referenceBackend(options)));
}
