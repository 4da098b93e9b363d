/** `banach doctor`: what this machine offers, which backends start and agree, and which one would be used. */
import { availableParallelism, cpus, totalmem } from "node:os";
import { BackendUnavailableError, type Device } from "@banach/autograd";
import { probeFeatures } from "@banach/backend-wasm";
import type { Command } from "commander";
import type { BackendRecord } from "../run/index.ts";
import {
  type BackendFlags,
  backendRecords,
  findBackend,
  formatBackend,
  hasThreads,
  preferred,
  RELAXED_FLAG,
  restartFor,
} from "./backends.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { formatBytes } from "./format.ts";
import type { Io } from "./io.ts";
import { reporter } from "./reporter.ts";
import { compareSmokeTests, type SmokeTest, smokeTest } from "./smoke-test.ts";
import { describeWebGpu, examineWebGpu } from "./webgpu-report.ts";

interface DoctorFlags extends BackendFlags {
  readonly json?: boolean;
}

/** What was found out about a backend. */
interface Finding extends BackendRecord {
  /** As `banach` is told to use it. */
  readonly name: string;
  /** What it chose when it started, and why. */
  readonly notes: readonly string[];
  /** Null if it starts. */
  readonly refused: string | null;
  /** Bytes that a buffer may have; null if it does not start. */
  readonly maxBufferBytes: number | null;
  readonly test: SmokeTest | null;
  /** Why the test did not run to its end; null if it did, or was not run. */
  readonly failed: string | null;
}

interface Checked extends Finding {
  /** From the figures of the reference, relative; null if one of the two has none. */
  readonly difference: number | null;
  /** Whether the test ran and its figures are those of the reference; null if the backend does not start. */
  readonly agrees: boolean | null;
}

export async function doctorCommand(io: Io, command: Command): Promise<number> {
  const flags = command.opts<DoctorFlags>();
  const report = reporter(io, flags.json === true);
  const wanted = preferred(flags);
  const restarted = restartFor(wanted, io);
  if (restarted !== null) return restarted;
  // Before the tests: a name that is refused should be refused at once.
  for (const { backend, relaxed } of wanted) findBackend(backend, { relaxed, threads: flags.threads });

  const machine = examineMachine();
  for (const line of describeMachine(machine)) report.result(line);
  const webgpu = await examineWebGpu();
  for (const line of describeWebGpu(webgpu)) report.result(line);
  const findings: Finding[] = [];
  for (const record of backendRecords) findings.push(await examine(record, flags));
  const checked = compare(findings);
  report.result("");
  for (const line of describeBackends(checked)) report.result(line);
  const choice = choose(wanted, checked, flags);
  report.result("");
  report.result(`used          ${choice.name ?? "none"}: ${choice.why}`);
  const code = exitCodeFor(choice.name, checked);
  const { name: used, why } = choice;
  report.event({ type: "doctor", machine, webgpu, backends: checked, used, why, exitCode: code });
  return code;
}

interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  /** That this process may use. */
  readonly cores: number;
  /** Bytes that this process may use: the machine's, or fewer if it is in a container. */
  readonly memory: number;
  readonly webAssembly: Readonly<Record<"simd" | "relaxedSimd" | "threads" | "sharedMemory", boolean>>;
}

function examineMachine(): Machine {
  const { simd, relaxedSimd, threads, sharedMemory } = probeFeatures();
  // 0, or more than any machine has, where nothing is constrained.
  const constrained = process.constrainedMemory() || Infinity;
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memory: Math.min(totalmem(), constrained),
    webAssembly: { simd, relaxedSimd, threads, sharedMemory },
  };
}

function describeMachine({ node, platform, processor, cores, memory, webAssembly }: Machine): readonly string[] {
  const yes = (value: boolean): string => (value ? "yes" : "no");
  const { simd, relaxedSimd, threads, sharedMemory } = webAssembly;
  // Whether it is the flag that is missing is seen by trying; --relaxed does.
  const relaxed =
    relaxedSimd || !simd ? yes(relaxedSimd) : `not without ${RELAXED_FLAG} (--relaxed gives it to Node 20)`;
  return [
    `Node          ${node}, ${platform}`,
    `processor     ${processor}, ${cores} ${cores === 1 ? "core" : "cores"}`,
    `memory        ${formatBytes(memory)}`,
    `WebAssembly   SIMD ${yes(simd)}, threads ${yes(threads)}, shared memory ${yes(sharedMemory)}`,
    `relaxed SIMD  ${relaxed}`,
  ];
}

/** Starts a backend and trains a little on it. */
async function examine(record: BackendRecord, flags: BackendFlags): Promise<Finding> {
  const name = formatBackend(record);
  const threads = hasThreads(record.backend) ? flags.threads : undefined;
  const start = findBackend(record.backend, { relaxed: record.relaxed, threads });
  const none = { ...record, name, notes: [], refused: null, maxBufferBytes: null, test: null, failed: null };
  let device: Device;
  try {
    device = await start();
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    return { ...none, refused: error.message };
  }
  await using started = device;
  const { notes } = started;
  const { maxBufferBytes } = started.backend.limits;
  try {
    return { ...none, notes, maxBufferBytes, test: await smokeTest(started) };
  } catch (error) {
    return { ...none, notes, maxBufferBytes, failed: error instanceof Error ? error.message : String(error) };
  }
}

function compare(findings: readonly Finding[]): readonly Checked[] {
  const expected = findings.find(({ backend }) => backend === "reference")?.test ?? null;
  return findings.map((finding) => {
    const { refused, test } = finding;
    if (refused !== null) return { ...finding, difference: null, agrees: null };
    if (test === null || expected === null) return { ...finding, difference: null, agrees: false };
    return { ...finding, ...compareSmokeTests(test, expected) };
  });
}

function describeBackends(checked: readonly Checked[]): readonly string[] {
  const width = 2 + Math.max(...checked.map(({ name }) => name.length), 12);
  return checked.map((finding) => `${finding.name.padEnd(width)}${describe(finding)}`);
}

function describe({ backend, notes, refused, maxBufferBytes, test, failed, difference, agrees }: Checked): string {
  if (refused !== null) return `does not start: ${refused}`;
  const starts = `starts${notes.map((note) => `, ${note}`).join("")}, arrays up to ${formatBytes(maxBufferBytes ?? 0)}`;
  if (test === null) return `${starts}; the test failed: ${failed ?? "no reason given"}`;
  const took = `${starts}; ${test.steps} training steps in ${test.seconds.toFixed(2)} s`;
  if (difference === null) return `${took}, with nothing to compare them with`;
  if (agrees !== true) return `${took}, WRONG: off the reference by ${difference.toExponential(1)}`;
  return backend === "reference" ? took : `${took}, right within ${difference.toExponential(1)}`;
}

interface Choice {
  readonly name: string | null;
  readonly why: string;
}

/** What the other commands would use, given these options. */
function choose(wanted: readonly BackendRecord[], checked: readonly Checked[], flags: BackendFlags): Choice {
  const names = wanted.map(formatBackend);
  const starts = (name: string): boolean =>
    checked.some((finding) => finding.name === name && finding.refused === null);
  const name = names.find(starts) ?? null;
  const passed = names.slice(0, name === null ? undefined : names.indexOf(name));
  if (name === null) return { name, why: `${passed.join(", ")} ${passed.length === 1 ? "does" : "do"} not start` };
  if (flags.backend !== undefined || flags.relaxed === true) return { name, why: "the options ask for it" };
  if (passed.length > 0) return { name, why: `${passed.join(", ")} does not start` };
  return { name, why: "the fastest, and it starts; --backend and --relaxed choose another" };
}

function exitCodeFor(used: string | null, checked: readonly Checked[]): ExitCode {
  if (used === null) return EXIT.environment;
  return checked.some(({ agrees }) => agrees === false) ? EXIT.checkFailed : EXIT.ok;
}
