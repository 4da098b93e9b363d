/** Programs and devices of the tests of the runtime. */
/// <reference types="@webgpu/types" preserve="true" />
import { array, makeGraph, optimize, type Tracer, whileLoop } from "@banach/autograd";
import { type Backend, type Buffer, type Executable, sizeOf } from "@banach/autograd/backend";
import { findGpu } from "../../src/platform/find-gpu.ts";

export const KIB = 1024;

/** A vector of so many KiB, each element a number. */
export function write(backend: Backend, kib: number, value: number): Buffer {
  const shape = [(kib * KIB) / 4];
  return backend.write(new Float32Array(sizeOf(shape)).fill(value), { dtype: "float32", shape });
}

export function compile(
  backend: Backend,
  f: (x: Tracer) => Tracer | readonly Tracer[],
  kib: number,
  donate: number[] = [],
  label = "program",
): Promise<Executable> {
  const graph = makeGraph(f as (x: Tracer) => Tracer[], array(new Float32Array((kib * KIB) / 4)));
  return backend.compile(optimize(graph), { donate, label });
}

export const double = (x: Tracer): Tracer => x.mul(2);

/** Adds 1 so many times, asking the device each time whether it is enough. */
export const countTo =
  (steps: number) =>
  (x: Tracer): Tracer =>
    whileLoop(
      (z: Tracer) => z.max().less(steps),
      (z: Tracer) => z.add(1),
      x,
      { maxSteps: 10 * steps },
    ).carry;

/** Sums of the rows of a matrix product that has to be stored: temporaries of n^2 numbers for n of input. */
export const rows = (x: Tracer): Tracer => {
  const outer = x.expandDims(1).matmul(x.expandDims(0));
  return outer.matmul(outer).sum({ axes: 1 });
};

/** A device of the test's own. */
export async function openOwnDevice(): Promise<GPUDevice> {
  const adapter = await (await findGpu()).requestAdapter();
  if (adapter === null) throw new Error("there is no adapter");
  return adapter.requestDevice();
}

/** What a promise is rejected with. */
export async function failure(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

export async function values(backend: Backend, buffer: Buffer): Promise<ReadonlySet<number>> {
  return new Set(await backend.read(buffer));
}
