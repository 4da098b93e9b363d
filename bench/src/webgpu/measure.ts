/** Runs the suite where it stands: in Node or on a page. What comes of it survives JSON. */
import { Device } from "@banach/autograd";
import { webgpuBackend } from "@banach/backend-webgpu";
import { banach } from "../banach.ts";
import type { Framework, Task } from "../framework.ts";
import { median, type MeasureOptions } from "../measure.ts";
import { type Ours, race, type Raced } from "../race.ts";
import { gpuCeilings } from "./ceilings.ts";
import { estimate, type Estimate } from "./estimate.ts";
import { floorOf } from "./floor.ts";
import { adapterOptions, requestAdapter } from "./gpu.ts";
import { type Sent, sentBy, watchDevices } from "./probe.ts";
import { type EncodedRun, recorded } from "./recorded.ts";
import { type Scale, webgpuSuite } from "./suite.ts";

export interface WebgpuOrder {
  /** Of the suite; all if absent. */
  readonly groups?: readonly string[];
  readonly tiny: boolean;
  readonly timestamps: boolean;
  readonly measuring: MeasureOptions;
}

/** What one contestant sends to the device for a piece of work. */
export interface Inspection extends Sent {
  /** Only of ours. */
  readonly own?: Estimate & {
    /** Microseconds of the CPU for each dispatch, its submission left out; null where a run waits for the device. */
    readonly encode: number | null;
    /** Of those, what the calls of WebGPU take alone, see floorOf; null likewise. */
    readonly floor: number | null;
    /** Microseconds of the CPU in the submissions of a run; null likewise. */
    readonly submit: number | null;
  };
}

export interface WebgpuResults {
  readonly scale: Scale;
  /** More than one if contestants do not share one. */
  readonly adapters: readonly string[];
  readonly peers: Readonly<Record<string, string>>;
  /** Peers that did not start, and why. */
  readonly notes: readonly string[];
  readonly races: readonly { readonly name: string; readonly raced: Raced<Inspection> }[];
  /** Measured by timestamps: GFLOP/s and GB/s. */
  readonly device: { readonly mulAdd: number; readonly copy: number } | null;
}

/** Starts a peer. */
export type Starter = readonly [name: string, start: () => Promise<Framework>];

export async function measureWebgpu(
  order: WebgpuOrder,
  starters: readonly Starter[],
  onRow: (name: string) => void = () => undefined,
): Promise<WebgpuResults> {
  const adapter = await requestAdapter();
  if (adapter === null) throw new Error("WebGPU has no adapter");
  const isSoftware = /swiftshader|llvmpipe|software|basic render/i.test(Object.values(infoOf(adapter)).join(" "));
  const scale = order.tiny ? "tiny" : isSoftware ? "software" : "gpu";
  const suite = webgpuSuite(scale);
  const watched = watchDevices();
  const opened = new Map<string, Promise<{ framework: Framework; device: Device; runs: EncodedRun[] }>>();
  const open = async (setting: string) => {
    const { backend, runs } = recorded(await webgpuBackend({ adapterOptions, fuseLoops: setting === "fused" }));
    const device = new Device(backend);
    return { framework: banach(device, setting, { reads: true }), device, runs };
  };
  const ours: Ours = {
    on: async (setting = "fused") => {
      const opening = opened.get(setting) ?? open(setting);
      opened.set(setting, opening);
      return (await opening).framework;
    },
  };
  const runsSoFar = async (): Promise<EncodedRun[]> =>
    (await Promise.all(opened.values())).flatMap(({ runs }) => runs.splice(0));
  const notes: string[] = [];
  const peers: Framework[] = [];
  for (const [name, start] of starters) {
    try {
      peers.push(await start());
    } catch (error) {
      notes.push(`${name} does not start here: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const ceilings = await gpuCeilings(isSoftware || order.tiny);
  let before: EncodedRun[] = [];
  const inspect = async (task: Task): Promise<Inspection> => {
    before.push(...(await runsSoFar()));
    const call = (): unknown => (task.call ?? task.run).call(task);
    const sent = await sentBy(call, order);
    const runs = await runsSoFar();
    const main = runs.find(({ label }) => label !== "element");
    if (main === undefined) return sent;
    const same = before.filter(({ graph, encode }) => graph === main.graph && encode !== null);
    const encoded = same.map(({ encode, dispatches }) => (1000 * (encode ?? 0)) / Math.max(1, dispatches));
    const own = {
      ...estimate(main.graph, main.loopSteps),
      encode: encoded.length === 0 ? null : median(encoded),
      floor: encoded.length === 0 ? null : await floorOf(call, () => task.run()),
      submit: same.length === 0 ? null : 1000 * median(same.map(({ submit }) => submit)),
    };
    return { ...sent, own };
  };
  const races: { name: string; raced: Raced<Inspection> }[] = [];
  try {
    for (const group of order.groups ?? Object.keys(suite)) {
      for (const entry of suite[group] ?? []) {
        onRow(entry.name);
        before = [];
        races.push({ name: entry.name, raced: await race(entry, { ours, peers, ceilings, inspect }, order.measuring) });
      }
    }
    const device = order.timestamps ? await deviceCeilings(ceilings, isSoftware || order.tiny) : null;
    const versions = Object.fromEntries(peers.map(({ name, version }) => [name, version]));
    return { scale, adapters: [...watched.adapters], peers: versions, notes, races, device };
  } finally {
    for (const opening of opened.values()) await (await opening).device[Symbol.asyncDispose]();
    ceilings.destroy();
    watched.undo();
  }
}

function infoOf({ info }: GPUAdapter): Readonly<Record<string, string>> {
  const { vendor, architecture, device, description } = info;
  return { vendor, architecture, device, description };
}

/** The best of some runs of each, as timestamps tell. */
async function deviceCeilings(
  { mulAdd, copy }: Pick<Awaited<ReturnType<typeof gpuCeilings>>, "mulAdd" | "copy">,
  isSmall: boolean,
): Promise<WebgpuResults["device"]> {
  const [flops, bytes] = isSmall ? [1e9, 2 ** 26] : [1e12, 2 ** 28];
  const rates: number[] = [];
  for (const [task, amount] of [
    [mulAdd(flops), flops],
    [copy(bytes), bytes],
  ] as const) {
    const times: number[] = [];
    for (let i = 0; i < 5; i++)
      times.push((await sentBy(() => task.run(), { timestamps: true })).deviceTime ?? Infinity);
    rates.push(amount / 1e6 / Math.min(...times));
    task.dispose?.();
  }
  const [first = 0, second = 0] = rates;
  return first > 0 && second > 0 ? { mulAdd: first, copy: second } : null;
}
