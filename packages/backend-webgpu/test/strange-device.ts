/** Devices that do what WebGPU allows and drivers here never do: other orders of invocations, smaller grids. */
import { findGpu } from "../src/platform/find-gpu.ts";

interface Strangeness {
  /** Limits that the device claims to have instead of its own. */
  readonly limits?: Readonly<Record<string, number>>;
  /**
   * Numbers the invocations of a workgroup from the last to the first. Drivers in software run them in order, which hides
   * that one of them reads what another is still to write.
   */
  readonly reversed?: boolean;
  /** Numbers invocations so that neighbours are not in one subgroup. */
  readonly scattered?: boolean;
  /** Has subgroups, if the adapter does; default false. */
  readonly subgroups?: boolean;
}

/** A device that behaves strangely; the caller destroys it. */
export async function strangeDevice({
  limits = {},
  reversed = false,
  scattered = false,
  subgroups = false,
}: Strangeness): Promise<GPUDevice> {
  const adapter = await (await findGpu()).requestAdapter();
  if (adapter === null) throw new Error("there is no WebGPU adapter");
  const hasThem = subgroups && adapter.features.has("subgroups");
  const device = await adapter.requestDevice({ requiredFeatures: hasThem ? ["subgroups"] : [] });
  const claimed: object = new Proxy(device.limits, {
    get: (target, key) => limits[String(key)] ?? (Reflect.get(target, key, target) as unknown),
  });
  return new Proxy(device, {
    get: (target, key) => {
      if (key === "limits") return claimed;
      if (key === "createShaderModule" && (reversed || scattered)) {
        return (descriptor: GPUShaderModuleDescriptor) =>
          target.createShaderModule({
            ...descriptor,
            code: withLanes(descriptor.code, reversed ? fromLast : farApart),
          });
      }
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

type Numbering = (given: string, size: number) => string;

const fromLast: Numbering = (given, size) => `${size - 1}u - ${given}`;

/** Neighbours are half of all apart. */
const farApart: Numbering = (given, size) => `(${given} * ${size / 2 + 1}u) % ${size}u`;

function withLanes(code: string, numbering: Numbering): string {
  const size = /@workgroup_size\((\d+)\)/.exec(code)?.[1];
  const given = "@builtin(local_invocation_index) lane: u32) {";
  if (size === undefined || !code.includes(given)) throw new Error("a shader that is not written as expected");
  return code.replace(given, `${given.replace("lane:", "given:")}\n  let lane = ${numbering("given", Number(size))};`);
}
