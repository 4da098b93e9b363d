/** What WebGPU itself takes for the dispatches of a run: its calls in a bare loop, as little as any program makes. */
import { median } from "../measure.ts";
import { noting, patch } from "./probe.ts";

interface Call {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: number;
}

/** Repetitions at most, and milliseconds after which no other one begins. */
const MOST = { repetitions: 51, milliseconds: 1000 };

/**
 * Microseconds of the CPU for each dispatch: setPipeline, setBindGroup and dispatchWorkgroups with what `work` gives them.
 * Medians, each after a run of `before`: what that leaves in the caches decides more than anything. Null where `work`
 * dispatches nothing.
 */
export async function floorOf(work: () => unknown, before: () => unknown): Promise<number | null> {
  const { device, calls } = await callsOf(work);
  if (device === null || calls.length === 0) return null;
  const samples: number[] = [];
  const startedAt = performance.now();
  do {
    await before();
    // Never submitted: of a dispatch the bindings of the first group are enough.
    const pass = device.createCommandEncoder().beginComputePass();
    const loopedAt = performance.now();
    for (const { pipeline, group, workgroups } of calls) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups);
    }
    samples.push(performance.now() - loopedAt);
    pass.end();
  } while (samples.length < MOST.repetitions && performance.now() - startedAt < MOST.milliseconds);
  return (1000 * median(samples)) / calls.length;
}

async function callsOf(work: () => unknown): Promise<{ readonly device: GPUDevice | null; readonly calls: Call[] }> {
  let device: GPUDevice | null = null;
  let pipeline: GPUComputePipeline | null = null;
  let group: GPUBindGroup | null = null;
  const calls: Call[] = [];
  const undo = [
    patch(
      GPUDevice.prototype,
      "createCommandEncoder",
      (original) =>
        function (this: GPUDevice, descriptor) {
          // eslint-disable-next-line @typescript-eslint/no-this-alias -- the device is what is looked for
          device = this;
          return original.call(this, descriptor);
        },
    ),
    patch(
      GPUComputePassEncoder.prototype,
      "setPipeline",
      noting((_, [given]) => {
        pipeline = given;
      }),
    ),
    patch(
      GPUComputePassEncoder.prototype,
      "setBindGroup",
      noting((_, [index, given]) => {
        if (index === 0) group = given ?? null;
      }),
    ),
    patch(
      GPUComputePassEncoder.prototype,
      "dispatchWorkgroups",
      noting((_, [workgroups]) => {
        if (pipeline !== null && group !== null) calls.push({ pipeline, group, workgroups });
      }),
    ),
  ];
  try {
    await work();
  } finally {
    for (const put of undo) put();
  }
  return { device, calls };
}
