/** Shaders that show what a GPU can do at best: multiplications and additions in registers, and a copy. */
import type { Ceilings } from "../ceilings.ts";
import type { Task } from "../framework.ts";
import { requestAdapter } from "./gpu.ts";

const LANES = 64;
/** Independent chains of four lanes. */
const CHAINS = 8;
const UNROLLED = 16;

const each = (text: (i: number) => string): string => Array.from({ length: CHAINS }, (_, i) => text(i)).join(" ");

const mulAdd = `
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<uniform> rounds: vec4u;
@compute @workgroup_size(${LANES}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let start = f32(id.x & 1023) * 0.001;
  ${each((i) => `var a${i} = vec4f(start + ${(i / 8).toFixed(3)});`)}
  let c = vec4f(0.999); let d = vec4f(start);
  for (var i = 0u; i < rounds.x; i++) {
    ${Array.from({ length: UNROLLED }, () => each((i) => `a${i} = fma(a${i}, c, d);`)).join("\n    ")}
  }
  var sum = vec4f(); ${each((i) => `sum += a${i};`)}
  // Never, but the compiler cannot know.
  if (sum.x == 12345.678) { y[id.x] = sum; }
}`;

const copy = `
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<uniform> size: vec4u;
@compute @workgroup_size(${LANES}) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < size.x; i += groups.x * ${LANES}) { y[i] = x[i]; }
}`;

/** Floating-point operations of one invocation in a round. */
const FLOPS = 2 * 4 * CHAINS * UNROLLED;
/** Invocations of the multiplications: enough for the largest GPUs; a software driver has few. */
const INVOCATIONS = { gpu: 2 ** 18, software: 2 ** 10 } as const;
const MOST_GROUPS = 65_535;

export async function gpuCeilings(isSoftware: boolean): Promise<Ceilings & { readonly destroy: () => void }> {
  const adapter = await requestAdapter();
  if (adapter === null) throw new Error("there is no adapter");
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
  const pipelineOf = (code: string): GPUComputePipeline =>
    device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }) } });
  const [arithmetic, copying] = [pipelineOf(mulAdd), pipelineOf(copy)];
  const storage = (size: number): GPUBuffer => device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
  const uniform = (value: number): GPUBuffer => {
    const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(buffer, 0, Uint32Array.of(value, 0, 0, 0));
    return buffer;
  };
  const task = (pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[], groups: number): Task => {
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const run = async (): Promise<void> => {
      const commands = device.createCommandEncoder();
      const pass = commands.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(Math.min(groups, MOST_GROUPS));
      pass.end();
      device.queue.submit([commands.finish()]);
      await device.queue.onSubmittedWorkDone();
    };
    return {
      run,
      dispose: () => {
        for (const buffer of buffers) buffer.destroy();
      },
    };
  };
  const invocations = INVOCATIONS[isSoftware ? "software" : "gpu"];
  const mulAddTask = (flops: number): Task => {
    const rounds = Math.max(1, Math.round(flops / FLOPS / invocations));
    // No less than a round of all: what is less work is done by fewer.
    const needed = Math.min(invocations, Math.ceil(flops / FLOPS / rounds));
    return task(arithmetic, [storage(16 * invocations), uniform(rounds)], Math.ceil(needed / LANES));
  };
  const copyTask = (bytes: number): Task => {
    const vectors = Math.max(1, Math.round(bytes / 32));
    return task(copying, [storage(16 * vectors), storage(16 * vectors), uniform(vectors)], Math.ceil(vectors / LANES));
  };
  return {
    mulAdd: mulAddTask,
    fusedMulAdd: mulAddTask,
    copy: copyTask,
    // What memory bounds.
    silu: (size) => copyTask(16 * size),
    layerNorm: (rows, features) => copyTask(8 * rows * features),
    destroy: () => {
      device.destroy();
    },
  };
}
