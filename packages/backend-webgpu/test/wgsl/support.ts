/// <reference types="@webgpu/types" />
/** What the tests of the scalar mathematics share: expressions evaluated over arrays by Dawn, sweeps of floats, errors in ulp. */
import type { Apply, DType, Expression } from "@banach/autograd/backend";
import type { CompareDirection } from "@banach/autograd/backend";
import { create, globals } from "webgpu";
import { functionsText } from "../../src/wgsl/functions.ts";
import { operationText, scalarType, type Use } from "../../src/wgsl/operations.ts";

// Where no driver is named, the software one that Chromium brings. It has to be named before Dawn starts.
process.env["VK_ICD_FILENAMES"] ??= "/usr/lib/chromium/vk_swiftshader_icd.json";
process.env["XDG_RUNTIME_DIR"] ??= "/tmp";

export type Words = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** WGSL of one result; the operands are identifiers. */
export type Write = (args: readonly string[], use: Use) => string;

export interface Evaluator {
  /**
   * The words of an expression at every element of arrays of one length, in one dispatch.
   * @param types of the operands and, last, of the result. Words of bools are 0 and 1.
   */
  evaluate(write: Write, types: readonly DType[], operands: readonly Words[]): Promise<Uint32Array<ArrayBuffer>>;
  /** Ends the device, for the process to exit. */
  close(): void;
}

/** Dawn's objects of this process: one that is collected takes the threads of its device with it. */
const alive: unknown[] = [];

/** A device of its own. Throws where the machine has no adapter. */
export async function openEvaluator(): Promise<Evaluator> {
  const gpu = create(["backend=vulkan"]);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) {
    throw new Error(
      `no WebGPU adapter with VK_ICD_FILENAMES=${process.env["VK_ICD_FILENAMES"] ?? ""}: install a Vulkan driver, ` +
        "or Chromium and libvulkan1 for its software driver",
    );
  }
  const device = await adapter.requestDevice();
  alive.push(gpu, adapter, device);
  return {
    evaluate: (write, types, operands) => evaluate(device, write, types, operands),
    close: () => {
      device.destroy();
    },
  };
}

const WORKGROUP = 64;

/** A module that computes `write` at each element of buffers bound in order, the result's last. */
export function moduleText(write: Write, types: readonly DType[]): string {
  const used = new Set<string>();
  const use: Use = (name) => {
    used.add(name);
    return name;
  };
  const stored = types.map(scalarType);
  const results = stored.length - 1;
  const args = stored.slice(0, -1).map((_, k) => `x${k}`);
  const value = write(args, use);
  const buffers = stored.map((type, k) => {
    const access = k === results ? "read_write" : "read";
    return `@group(0) @binding(${k}) var<storage, ${access}> b${k}: array<${type === "bool" ? "u32" : type}>;\n`;
  });
  const loads = args.map((name, k) => `  let ${name} = ${stored[k] === "bool" ? `b${k}[i] != 0u` : `b${k}[i]`};\n`);
  return `${functionsText(used)}${buffers.join("")}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= arrayLength(&b${results})) { return; }
${loads.join("")}  b${results}[i] = ${stored[results] === "bool" ? `select(0u, 1u, ${value})` : value};
}
`;
}

async function evaluate(
  device: GPUDevice,
  write: Write,
  types: readonly DType[],
  operands: readonly Words[],
): Promise<Uint32Array<ArrayBuffer>> {
  const { GPUBufferUsage: usage, GPUMapMode: mode } = globals as {
    readonly GPUBufferUsage: typeof GPUBufferUsage;
    readonly GPUMapMode: typeof GPUMapMode;
  };
  const length = operands[0]?.length ?? 0;
  device.pushErrorScope("validation");
  const buffers = types.map((_, k) => {
    const operand = operands[k];
    const buffer = device.createBuffer({ size: 4 * length, usage: usage.STORAGE | usage.COPY_DST | usage.COPY_SRC });
    if (operand !== undefined) device.queue.writeBuffer(buffer, 0, operand);
    return buffer;
  });
  const code = moduleText(write, types);
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const staging = device.createBuffer({ size: 4 * length, usage: usage.MAP_READ | usage.COPY_DST });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(Math.ceil(length / WORKGROUP));
  pass.end();
  encoder.copyBufferToBuffer(buffers.at(-1)!, 0, staging, 0, 4 * length);
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error !== null) throw new Error(`${error.message.slice(0, 1000)}\n${code.slice(0, 4000)}`);
  await staging.mapAsync(mode.READ);
  const result = new Uint32Array(staging.getMappedRange().slice(0));
  for (const buffer of [...buffers, staging]) buffer.destroy();
  return result;
}

export interface Operation {
  readonly operation: Apply["operation"];
  readonly direction?: CompareDirection;
  /** Of the operands and, last, of the result. */
  readonly types: readonly DType[];
}

/** What a kernel writes for a node of such an operation. */
export function writeOperation({ operation, direction, types }: Operation): Write {
  const operand = (dtype: DType): Expression => ({ kind: "accumulated", dtype });
  const node: Apply = {
    kind: "apply",
    operation,
    dtype: types.at(-1)!,
    args: types.slice(0, -1).map(operand),
    ...(direction === undefined ? {} : { direction }),
  };
  return (args, use) => operationText(node, args, use);
}

/** Floats with evenly spaced bit patterns: all exponents, both signs, denormals; an odd stride so that low bits vary. */
export function everyExponent(count: number): Float32Array<ArrayBuffer> {
  const stride = Math.floor(2 ** 32 / count) | 1;
  return new Float32Array(Uint32Array.from({ length: count }, (_, i) => Math.imul(i, stride)).buffer);
}

/** Evenly spaced floats from `low` to `high`. */
export const between = (low: number, high: number, count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/** The floats around a value: `reach` to either side. */
export function around(value: number, reach = 50): Float32Array<ArrayBuffer> {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  return new Float32Array(Uint32Array.from({ length: 2 * reach + 1 }, (_, i) => bits! + i - reach).buffer);
}

export const join = (...parts: readonly Float32Array[]): Float32Array<ArrayBuffer> =>
  Float32Array.from(parts.flatMap((part) => [...part]));

/** All pairs of values, as two arrays. */
export function pairs<A extends Words>(
  type: { from(values: readonly number[]): A },
  values: Iterable<number>,
): readonly [A, A] {
  const all = [...values];
  return [type.from(all.flatMap((x) => all.map(() => x))), type.from(all.flatMap(() => all))];
}

/** Largest float32. */
export const greatestFloat = (2 - 2 ** -23) * 2 ** 127;

export const leastNormal: number = 2 ** -126;

/** The distance of neighbouring float32 at a value. */
export function ulp(value: number): number {
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(value), leastNormal)));
  return 2 ** (Math.min(exponent, 127) - 23);
}

/** 0 with its sign where a device may take it for that. */
export const flush = (x: number): number => (Math.abs(x) < leastNormal ? x * 0 : x);

/**
 * Error of a float32 in ulp of the truth, which is a float64. What overflows stands for 2^128, and special values have to
 * be equal, but for the sign of a zero; a denormal may be 0 or another.
 */
export function ulpError(got: number, truth: number): number {
  if (Number.isNaN(got) && Number.isNaN(truth)) return 0;
  if (Number.isNaN(got) || Number.isNaN(truth)) return Infinity;
  if (got === truth || (Math.abs(got) <= leastNormal && Math.abs(truth) < leastNormal)) return 0;
  if (truth === Infinity || truth === -Infinity) return Infinity;
  const clamp = (x: number): number => Math.min(Math.max(x, -(2 ** 128)), 2 ** 128);
  return Math.abs(clamp(got) - clamp(truth)) / ulp(truth);
}
