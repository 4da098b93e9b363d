/** Subgroups: invocations that run in step and can read each other's registers, without memory and without waiting. */
import { BufferUsage, MapMode } from "./constants.ts";

/**
 * Neighbours by number that are in one subgroup, whatever shader they run: a power of two, and 1 where there are no
 * subgroups. WGSL does not say which invocations are together, though all drivers number them in order; so the device is
 * asked, once.
 * @param invocations of a workgroup
 */
export async function subgroupLanes(device: GPUDevice, invocations: number): Promise<number> {
  const { subgroupMinSize: least = 1 } = device.adapterInfo;
  const lanes = Math.min(2 ** Math.floor(Math.log2(least)), invocations);
  if (!device.features.has("subgroups") || lanes === 1) return 1;
  return (await isInOrder(device, lanes, invocations)) ? lanes : 1;
}

/**
 * Whether invocations whose numbers differ in one bit below `lanes` see each other. A device that cannot do what it offers
 * does without.
 */
async function isInOrder(device: GPUDevice, lanes: number, invocations: number): Promise<boolean> {
  const bits = Array.from({ length: Math.log2(lanes) }, (_, i) => `${2 ** i}u`);
  const code = `enable subgroups;
@group(0) @binding(0) var<storage, read_write> seen: array<u32>;
@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) lane: u32) {
  var count = 0u;
${bits.map((bit) => `  count += select(0u, 1u, subgroupShuffleXor(lane, ${bit}) == (lane ^ ${bit}));`).join("\n")}
  seen[lane] = count;
}`;
  const size = 4 * invocations;
  const buffers: GPUBuffer[] = [];
  const createBuffer = (usage: number): GPUBuffer => {
    const buffer = device.createBuffer({ size, usage });
    buffers.push(buffer);
    return buffer;
  };
  try {
    const { seen, staging, module } = await checked(device, () => ({
      seen: createBuffer(BufferUsage.STORAGE | BufferUsage.COPY_SRC),
      staging: createBuffer(BufferUsage.MAP_READ | BufferUsage.COPY_DST),
      module: device.createShaderModule({ code }),
    }));
    const compute = { module, entryPoint: "main" };
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
    await checked(device, () => {
      const entries = [{ binding: 0, resource: { buffer: seen } }];
      const commands = device.createCommandEncoder();
      const pass = commands.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(1);
      pass.end();
      commands.copyBufferToBuffer(seen, 0, staging, 0, size);
      device.queue.submit([commands.finish()]);
    });
    await staging.mapAsync(MapMode.READ);
    return new Uint32Array(staging.getMappedRange()).every((count) => count === bits.length);
  } catch {
    return false;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/**
 * What the work returns. Rejects with what it throws, and with what the device says against it. The scopes for that are
 * closed before anything is waited for: meanwhile the device may be its owner's, whose errors are not for here.
 */
async function checked<T>(device: GPUDevice, work: () => T): Promise<T> {
  const filters = ["validation", "out-of-memory"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const working = new Promise<T>((resolve) => {
    resolve(work());
  });
  const popping = Promise.all(filters.map(() => device.popErrorScope()));
  const [result, errors] = await Promise.all([working, popping]);
  for (const error of errors) if (error !== null) throw new Error(error.message);
  return result;
}
