/// <reference types="@webgpu/types" />
import { expect, it } from "vitest";

const doubles = `
@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&numbers)) { numbers[id.x] = 2 * numbers[id.x]; }
}`;

async function openDevice(): Promise<GPUDevice> {
  const gpu = (Reflect.get(globalThis, "navigator") as { gpu?: GPU }).gpu;
  if (gpu === undefined) throw new Error("this page has no navigator.gpu: Chromium needs --enable-unsafe-webgpu here");
  const adapter = await gpu.requestAdapter();
  if (adapter === null)
    throw new Error("navigator.gpu gives no adapter, not even SwiftShader, which comes with Chromium");
  return adapter.requestDevice();
}

it("the page computes on WebGPU", async () => {
  const device = await openDevice();
  const errors: string[] = [];
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  const numbers = Float32Array.from({ length: 100 }, (_, i) => i);
  const size = numbers.byteLength;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const readable = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  device.queue.writeBuffer(buffer, 0, numbers);

  const module = device.createShaderModule({ code: doubles });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const layout = pipeline.getBindGroupLayout(0);
  const commands = device.createCommandEncoder();
  const pass = commands.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] }));
  pass.dispatchWorkgroups(Math.ceil(numbers.length / 64));
  pass.end();
  commands.copyBufferToBuffer(buffer, 0, readable, 0, size);
  device.queue.submit([commands.finish()]);

  await readable.mapAsync(GPUMapMode.READ);
  const doubled = [...new Float32Array(readable.getMappedRange())];
  device.destroy();
  expect(errors).toEqual([]);
  expect(doubled).toEqual([...numbers].map((x) => 2 * x));
});
