/** WebGPU's errors as those that every backend throws. */
import { BanachError, OutOfMemoryError } from "@banach/autograd/backend";

/**
 * What an error scope caught.
 * @param held what is live, for people
 */
export function fromGpuError(error: GPUError, what: string, bytes: OutOfMemoryBytes, held: string): Error {
  if (isOutOfMemory(error)) {
    return new OutOfMemoryError(
      `${what}: the device has no memory left; dispose arrays or use a smaller batch; ${held} (${error.message})`,
      bytes,
    );
  }
  return new BanachError(`${what}: the device refused it: ${error.message}`);
}

export interface OutOfMemoryBytes {
  readonly requested: number;
  readonly limit: number;
  readonly live: number;
}

/** By name: in Node the class is not a global. */
const isOutOfMemory = (error: GPUError): boolean => error.constructor.name === "GPUOutOfMemoryError";
