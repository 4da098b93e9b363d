/** Races: what a suite's entries are, and how the contestants of one take turns. Runs in pages as well. */
import type { Ceilings } from "./ceilings.ts";
import type { Setting } from "./devices.ts";
import type { Framework, SolverReport, Task } from "./framework.ts";
import { interleave, type MeasureOptions, median, type Sample } from "./measure.ts";
import type { Row } from "./report.ts";
import type { Work } from "./work.ts";

/** Where our own programs run. */
export interface Ours {
  /** By default as the suite says. */
  readonly on: (setting?: Setting) => Promise<Framework>;
}

export interface Contestants<I = never> {
  readonly ours: Ours;
  readonly peers: readonly Framework[];
  readonly ceilings: Ceilings;
  /** Looks at a contestant after the race. */
  readonly inspect?: (task: Task, work: Work) => Promise<I>;
}

/** Work that frameworks race at. */
export interface Race {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly work: Work;
  /** Where ours runs; default as the suite says. With several threads the clock is the one on the wall. */
  readonly on?: Setting;
  /** To race against in the place of the suite's peers: others, or where else ours runs; nothing if empty. */
  readonly against?: readonly (Setting | Framework)[];
  /** The time reported is of one of so many steps. */
  readonly steps?: number;
  readonly ceiling?: Ceiling;
  /** Whether a row of its own tells how many iterations the solver takes, and, where it fails, one for how many sequences. */
  readonly iterations?: boolean;
  /** Samples at the least, for work so slow that the usual number would take minutes. */
  readonly fewest?: number;
}

/** The slowest of some tasks is the least time the work can take; or its own CPU time is, divided among its threads. */
export type Ceiling = { readonly name: string } & (
  { readonly of: (ceilings: Ceilings) => readonly Limit[] } | { readonly threads: number }
);

/** A task, one of our own programs, or one of them so many times. */
type Limit = Task | Work | { readonly work: Work; readonly times: number };

/** Something that only we are measured at, by other means: samples in the unit. */
export interface Own {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly samples: (count: number) => Promise<readonly number[]>;
}

export type Entry = Race | Own;

/** What a race has shown; survives JSON. */
export interface Raced<I = never> {
  readonly ours: Runs<I>;
  readonly rivals: readonly Runs<I>[];
  /** Milliseconds that each limit of the ceiling takes. */
  readonly limits: readonly number[];
}

interface Runs<I> {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly solver?: SolverReport;
  readonly inspected?: I;
}

/** The clock of a race: processor time adds up over threads. */
export function clockOf({ on }: Race, options: MeasureOptions): MeasureOptions["clock"] {
  return on === "2 threads" ? "wall" : options.clock;
}

export async function race<I = never>(
  entry: Race,
  { ours, peers, ceilings, inspect }: Contestants<I>,
  options: MeasureOptions,
): Promise<Raced<I>> {
  const { on, against, fewest = options.fewest } = entry;
  const clock = clockOf(entry, options);
  const disposables: Task[] = [];
  try {
    const prepare = async (framework: Framework, work: Work): Promise<Task | undefined> => {
      const task = await framework.prepare(work);
      if (task !== undefined) disposables.push(task);
      return task;
    };
    const framework = await ours.on(on);
    const prepareOurs = async (work: Work): Promise<Task> => {
      const task = await prepare(framework, work);
      if (task === undefined) throw new Error(`we do not offer ${work.kind}, for ${entry.name}`);
      return task;
    };
    const opened = async (peer: Setting | Framework): Promise<Framework> =>
      typeof peer === "string" ? ours.on(peer) : peer;
    const mine = await prepareOurs(entry.work);
    const rivals: { name: string; task: Task }[] = [];
    for (const peer of against === undefined ? peers : await Promise.all(against.map(opened))) {
      const task = await prepare(peer, entry.work);
      if (task === undefined) continue;
      await requireSameResult(entry.name, peer.name, mine, task);
      rivals.push({ name: peer.name, task });
    }
    const limits: { task: Task; scale: number }[] = [];
    for (const limit of limitsOf(entry, ceilings)) limits.push(await taskOf(limit, prepareOurs));
    const contestants = [mine, ...[...rivals, ...limits].map(({ task }) => task)];
    const samples = await interleave(contestants, { ...options, fewest, clock });
    const runs = async ({ name, task }: { name: string; task: Task }, i: number): Promise<Runs<I>> => {
      const solver = entry.iterations === true ? await task.iterations?.() : undefined;
      const inspected = await inspect?.(task, entry.work);
      return {
        name,
        samples: samples[i] ?? [],
        ...(solver === undefined ? {} : { solver }),
        ...(inspected === undefined ? {} : { inspected }),
      };
    };
    const own = await runs({ name: framework.name, task: mine }, 0);
    const theirs: Runs<I>[] = [];
    for (const [i, rival] of rivals.entries()) theirs.push(await runs(rival, 1 + i));
    return {
      ours: own,
      rivals: theirs,
      limits: limits.map(
        ({ scale }, i) => scale * median((samples[1 + rivals.length + i] ?? []).map((sample) => sample[clock])),
      ),
    };
  } finally {
    for (const task of disposables) task.dispose?.();
  }
}

function limitsOf({ ceiling }: Race, ceilings: Ceilings): readonly Limit[] {
  return ceiling !== undefined && "of" in ceiling ? ceiling.of(ceilings) : [];
}

/** The task of a limit, and by how much its time has to be multiplied. */
async function taskOf(limit: Limit, prepare: (work: Work) => Promise<Task>): Promise<{ task: Task; scale: number }> {
  if ("run" in limit) return { task: limit, scale: 1 };
  if ("kind" in limit) return { task: await prepare(limit), scale: 1 };
  const task = await prepare(limit.work);
  // As long as the work itself, so that both are interrupted as often.
  const runs = Math.max(1, Math.round(limit.times));
  const run = async (): Promise<void> => {
    for (let i = 0; i < runs; i++) await task.run();
  };
  return { task: { run }, scale: limit.times / runs };
}

/** Relative to the largest element: frameworks sum in other orders and have other exponentials. */
const tolerance = 1e-3;

async function requireSameResult(name: string, peer: string, ours: Task, theirs: Task): Promise<void> {
  if (ours.result === undefined || theirs.result === undefined) return;
  const [a, b] = [await ours.result(), await theirs.result()];
  let [largest, difference] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x = Number.NaN, y = Number.NaN] = [a[i], b[i]];
    largest = Math.max(largest, Math.abs(x));
    if (!(Math.abs(x - y) <= difference)) difference = Math.abs(x - y);
  }
  if (a.length !== b.length || !(difference <= tolerance * largest)) {
    throw new Error(`${name}: ${peer} gives another result: ${b.length} elements, off by ${difference} of ${largest}`);
  }
}
