/** The backends that commands can choose, in order of preference, and how one of them is opened. */
import { type BackendFactory, type Device, open } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { probeFeatures, wasm } from "@banach/backend-wasm";
import { webgpu } from "@banach/backend-webgpu";
import { type Command, Option } from "commander";
import { UnknownNameError, UsageError } from "../errors.ts";
import type { BackendRecord } from "../run/index.ts";
import type { Io } from "./io.ts";
import { positiveInteger } from "./options.ts";
import type { Reporter } from "./reporter.ts";

interface StartOptions {
  readonly relaxed: boolean;
  /** Undefined for as many as suit the machine. */
  readonly threads: number | undefined;
}

interface Entry {
  readonly name: string;
  /** Whether it can use relaxed SIMD. */
  readonly hasRelaxed: boolean;
  readonly hasThreads: boolean;
  /** Whether it is used only where it is named, or was used before. */
  readonly onlyNamed?: true;
  start(options: StartOptions): Promise<Device>;
}

/** The first that starts is the default, but for those that have to be named. A new backend is an entry here. */
const BACKENDS: readonly Entry[] = [
  {
    name: "wasm",
    hasRelaxed: true,
    hasThreads: true,
    start: ({ relaxed, threads }) => wasm(threads === undefined ? { relaxed } : { relaxed, threads }),
  },
  { name: "reference", hasRelaxed: false, hasThreads: false, start: () => reference() },
  // Where the adapter is a driver in software, as on machines without a GPU, it is far slower than wasm.
  { name: "webgpu", hasRelaxed: false, hasThreads: false, onlyNamed: true, start: () => webgpu() },
];

export const backendNames: readonly string[] = BACKENDS.map(({ name }) => name);

/** Every way in which a backend can be started. */
export const backendRecords: readonly BackendRecord[] = BACKENDS.flatMap(({ name, hasRelaxed }) =>
  (hasRelaxed ? [false, true] : [false]).map((relaxed) => ({ backend: name, relaxed })),
);

/** With it Node 20 has relaxed SIMD, as later versions have without. */
export const RELAXED_FLAG = "--experimental-wasm-relaxed-simd";

export interface BackendFlags {
  readonly backend?: string;
  readonly relaxed?: boolean;
  readonly threads?: number;
}

/** The options that `preferred` reads. */
export function addBackendOptions(command: Command, fallback: string): Command {
  return command
    .addOption(new Option("--backend <name>", `where programs run (default: ${fallback})`).choices(backendNames))
    .option("--relaxed", "relaxed SIMD: faster on wasm, with rounding that may differ between machines")
    .option("--threads <n>", "threads of wasm; results do not depend on it (default: one per core)", positiveInteger);
}

/** How `banach` is told to use a backend, e.g. `wasm --relaxed`. */
export function formatBackend({ backend, relaxed }: BackendRecord): string {
  return relaxed ? `${backend} --relaxed` : backend;
}

function findEntry(name: string): Entry {
  const entry = BACKENDS.find((candidate) => candidate.name === name);
  if (entry === undefined) throw new UnknownNameError("backend", name, backendNames);
  return entry;
}

/** Whether a backend can run on several threads. */
export function hasThreads(name: string): boolean {
  return findEntry(name).hasThreads;
}

/** The factory of a backend. Throws UnknownNameError, which lists the names, and UsageError if it lacks what is asked for. */
export function findBackend(name: string, { relaxed = false, threads }: Partial<StartOptions> = {}): BackendFactory {
  const entry = findEntry(name);
  if (relaxed && !entry.hasRelaxed) throw new UsageError(`--relaxed: backend ${name} has no relaxed SIMD; wasm has`);
  if (threads !== undefined && !entry.hasThreads) {
    throw new UsageError(`--threads: backend ${name} has none to choose; wasm has`);
  }
  return () => entry.start({ relaxed, threads });
}

/**
 * The backends that will do, best first: the one that the options name and no other; else what a run was on before; else
 * all that need not be named.
 */
export function preferred(
  { backend, relaxed = false, threads }: BackendFlags,
  before?: BackendRecord,
): readonly BackendRecord[] {
  if (backend !== undefined) return [{ backend, relaxed }];
  const suited = backendRecords.filter(
    (record) => findEntry(record.backend).onlyNamed !== true && (threads === undefined || hasThreads(record.backend)),
  );
  if (relaxed) return suited.filter((record) => record.relaxed);
  const plain = suited.filter((record) => !record.relaxed);
  if (before === undefined) return plain;
  return [before, ...plain.filter((record) => formatBackend(record) !== formatBackend(before))];
}

/**
 * Starts this process anew if the backend of choice needs a flag of Node that it was started without: the exit code of
 * the other process, or null if there is no need or it would not help.
 */
export function restartFor(records: readonly BackendRecord[], io: Io): Promise<number> | null {
  const { simd, relaxedSimd } = probeFeatures();
  return records[0]?.relaxed === true && simd && !relaxedSimd ? io.restart(RELAXED_FLAG) : null;
}

export interface OpenedBackend {
  readonly device: Device;
  readonly record: BackendRecord;
}

/** Starts the first that can, and warns of those before it. Throws BackendUnavailableError with every reason if none does. */
export async function openBackend(
  records: readonly BackendRecord[],
  { threads }: BackendFlags,
  report: Reporter,
): Promise<OpenedBackend> {
  const prefer = records.map(({ backend, relaxed }) => findBackend(backend, { relaxed, threads }));
  const { device, refused } = await open({ prefer });
  const record = records[refused.length] ?? { backend: device.name, relaxed: false };
  refused.forEach(({ message }, i) => {
    const wanted = records[i];
    const slower = record.backend === "reference" ? ", which is slower" : "";
    report.warn(
      `${wanted === undefined ? "a backend" : formatBackend(wanted)} did not start, so ${formatBackend(record)} is used${slower} (${message})`,
    );
  });
  return { device, record };
}

/** Where programs run, for people: `wasm (2 threads: 2 cores)`. */
export function describeDevice({ name, notes }: Device): string {
  return notes.length === 0 ? name : `${name} (${notes.join("; ")})`;
}

/** Says so if a run that was on one backend is now on another. */
export function noteChange(before: BackendRecord, now: BackendRecord, report: Reporter): void {
  if (formatBackend(before) === formatBackend(now)) return;
  report.note(
    `trained on ${formatBackend(before)} so far, now on ${formatBackend(now)}: numbers agree within rounding, not bit for bit`,
  );
}
