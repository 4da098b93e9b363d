/**
 * The conformance suite: certifies a backend in five lines, with any test runner.
 *
 *     import { conformanceCases } from "@banach/autograd/testing";
 *     describe("my backend", () => {
 *       for (const { name, run } of conformanceCases(openMyBackend)) it(name, run);
 *     });
 */
import type { PrimitiveName } from "../ir/primitives.ts";
import type { Backend } from "../runtime/backend.ts";
import { type Budgets, strictBudgets } from "./conformance/budgets.ts";
import { compareOutputs, ConformanceError, type ElementError, makeReference } from "./conformance/compare.ts";
import { protocolCases } from "./conformance/protocol.ts";
import { check, runOn, sameBits } from "./conformance/runner.ts";
import { sampleData, sampleGraph } from "./sample.ts";
import { allSamples, type NamedSample } from "./samples.ts";

export interface ConformanceCase {
  readonly name: string;
  /** Rejects with ConformanceError if the backend does not conform. */
  readonly run: () => Promise<void>;
}

export interface ConformanceOptions {
  /** Default `strictBudgets`; `wgslBudgets` for WebGPU. */
  readonly budgets?: Budgets;
  /** Names of cases that are known to fail. One that passes fails the run, and so does a name that is no case. */
  readonly expectedDivergences?: readonly string[];
  /** Default 0x5eed. */
  readonly seed?: number;
}

/** Errors measured on a primitive so far. */
export interface PrimitiveErrors {
  readonly primitive: PrimitiveName;
  readonly elements: number;
  /** In units in the last place of float32. Where terms cancel, the share says more. */
  readonly worstUlps: number;
  /** The 99.9th percentile. */
  readonly p999Ulps: number;
  /** The largest part of its budget that an element used. */
  readonly worstShare: number;
}

export interface Conformance {
  readonly cases: readonly ConformanceCase[];
  /** What the cases that have run measured, one entry per primitive with float results. */
  errors(): readonly PrimitiveErrors[];
}

export type OpenBackend = () => Backend | Promise<Backend>;

/**
 * The cases for a backend: every sample against the float64 reference, twice with the same bits and without a leak, and
 * the protocol. Samples of a dtype that the backend does not offer are left out once it is open. The backend is opened
 * by the first case that runs; cases run one at a time.
 */
export function conformance(open: OpenBackend, options: ConformanceOptions = {}): Conformance {
  const { budgets = strictBudgets, expectedDivergences = [], seed = 0x5eed } = options;
  const measured = new Map<PrimitiveName, ElementError[]>();
  let opened: Promise<Backend> | null = null;
  const backend = (): Promise<Backend> => (opened ??= Promise.resolve(open()));
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
  const sampleCases = allSamples().map((named): ConformanceCase => {
    const name = `${named.primitive}: ${named.sample.name}`;
    return { name, run: async () => record(measured, named, await runSample(await backend(), named, budgets, seed)) };
  });
  const rules = protocolCases.map(({ name, run }): ConformanceCase => ({
    name: `protocol: ${name}`,
    run: async () => run(await backend(), () => Promise.resolve(open())),
  }));
  const cases = [...sampleCases, ...rules].map(({ name, run }) => ({
    name,
    run: () => inTurn(expectedDivergences.includes(name) ? () => mustFail(name, run) : run),
  }));
  const known = new Set(cases.map(({ name }) => name));
  const stray = expectedDivergences.filter((name) => !known.has(name));
  return {
    cases: [...cases, ...stray.map(strayCase)],
    errors: () => [...measured].map(([primitive, errors]) => summarize(primitive, errors)),
  };
}

/** The cases of `conformance`, for a test runner. */
export function conformanceCases(open: OpenBackend, options: ConformanceOptions = {}): readonly ConformanceCase[] {
  return conformance(open, options).cases;
}

async function mustFail(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch {
    return;
  }
  throw new ConformanceError(`'${name}' is an expected divergence and passes now; take it off the list`);
}

const strayCase = (name: string): ConformanceCase => ({
  name: `expected divergence: ${name}`,
  run: () => Promise.reject(new ConformanceError(`'${name}' is no case of this suite; take it off the list`)),
});

async function runSample(
  backend: Backend,
  named: NamedSample,
  budgets: Budgets,
  seed: number,
): Promise<readonly ElementError[]> {
  const { primitive, sample } = named;
  const graph = sampleGraph(primitive, sample as never);
  const types = [...graph.inputs, ...graph.outputs].map(({ type }) => type);
  if (!types.every(({ dtype }) => backend.limits.dtypes.has(dtype))) return [];
  const inputs = sampleData(sample.inputs, seed);
  const before = backend.memory();
  const [first, second] = await runOn(backend, graph, inputs, 2);
  const after = backend.memory();
  check(first !== undefined && second !== undefined, "two runs expected");
  if (first === undefined || second === undefined) return [];
  check(sameBits(first.outputs, second.outputs), "the same program gave other bits the second time");
  check(after.liveBuffers === before.liveBuffers && after.liveBytes === before.liveBytes, "memory stays live");
  return compareOutputs(makeReference(graph, inputs), first.outputs, {
    budget: budgets[primitive],
    ieeeNonFinite: backend.limits.ieeeNonFinite,
  });
}

function record(
  measured: Map<PrimitiveName, ElementError[]>,
  { primitive }: NamedSample,
  errors: readonly ElementError[],
): void {
  if (errors.length === 0) return;
  measured.set(primitive, [...(measured.get(primitive) ?? []), ...errors]);
}

function summarize(primitive: PrimitiveName, errors: readonly ElementError[]): PrimitiveErrors {
  const sorted = errors.map(({ ulps }) => ulps).sort((a, b) => a - b);
  const at = (fraction: number): number => sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0;
  const worstShare = errors.reduce((most, { share }) => Math.max(most, share), 0);
  return { primitive, elements: errors.length, worstUlps: at(1), p999Ulps: at(0.999), worstShare };
}
