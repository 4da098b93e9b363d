/** The suite of fixed points: the model of the A5 step by each solver, at several lengths, and next to PyTorch. */
import { agreement } from "./agreement.ts";
import type { Setting } from "./devices.ts";
import type { PyTorches } from "./pytorch.ts";
import type { Entry, Race } from "./race.ts";
import type { SolverName, WorkOf } from "./work.ts";

type FpMamba = WorkOf<"fp-mamba">;

export interface FprnnSuiteOptions {
  /** The same rows at sizes that take no time. */
  readonly tiny: boolean;
  /** Whether the engine has relaxed SIMD. */
  readonly relaxed: boolean;
  /** Where it is installed; null where it is not wanted. */
  readonly pytorch: PyTorches | null | undefined;
}

const solvers = ["sequential", "auto", "chunked", "picard", "anderson", "newton"] as const satisfies SolverName[];

/** Groups of rows, by the name that --only takes: each solver's, and those that are about one. */
export function fprnnSuite({ tiny, relaxed, pytorch }: FprnnSuiteOptions): Readonly<Record<string, readonly Entry[]>> {
  const times = tiny ? [2, 4] : [16, 64, 256, 1024];
  const tokens = tiny ? 8 : 2048;
  const parameters: FpMamba["parameters"] = tiny
    ? { length: 3, dModel: 8, before: { batch: 2, steps: 2 } }
    : { length: 16, dModel: 64, before: { batch: 32, steps: 1000 } };
  const rows = (solver: SolverName): Race[] =>
    times.flatMap((time) =>
      (["forward", "train"] as const).map((use) => ({
        name: `${solver} ${use} T${time} B${tokens / time}`,
        unit: "ms",
        work: { kind: "fp-mamba", use, solver, batch: tokens / time, time, parameters },
        iterations: true,
        // Picard and Newton take as many sweeps as there are steps of time.
        fewest: 1,
      })),
    );
  const words = { kind: "fp-mamba", use: "forward", solver: "sequential", parameters } as const;
  const step = { ...words, use: "train", batch: tiny ? 2 : 512, time: parameters.length + 1 } as const;
  return {
    ...Object.fromEntries(solvers.map((solver) => [solver, rows(solver)])),
    // The batch stays as it is: only the length differs.
    tokens: perToken("sequential", times, (time) => ({ ...words, batch: tiny ? 2 : 32, time })),
    stream: perToken("step", times, (time) => ({ ...words, use: "stream", batch: 1, time })),
    pytorch: [
      ...(pytorch ? agreement({ ...step, batch: tiny ? 2 : 16 }, pytorch.on(1)) : []),
      ...againstPyTorch("Picard as the authors, 1 step", { ...step, solver: "authors" }, pytorch, false),
      ...againstPyTorch("sequential through time", step, pytorch, relaxed),
    ],
  };
}

/** Cost of one token, at each length next to that at the shortest. */
function perToken(name: string, times: readonly number[], workAt: (time: number) => FpMamba): Race[] {
  return times.map((time) => {
    const [work, shortest = time] = [workAt(time), times[0]];
    return {
      name: `${name} per token T${time} B${work.batch}`,
      unit: "us",
      work,
      steps: work.batch * time,
      ceiling: { name: `T${shortest}`, of: () => [{ work: workAt(shortest), times: time / shortest }] },
    };
  });
}

/** A train step of ours next to PyTorch's, whose solver and gradient are always the authors'; on one thread, then on two. */
function againstPyTorch(
  name: string,
  work: FpMamba,
  pytorch: FprnnSuiteOptions["pytorch"],
  relaxed: boolean,
): readonly Race[] {
  const missing = pytorch === undefined ? " (python3-torch is not installed)" : "";
  const race = (on: Setting, threads: 1 | 2): Race => ({
    name: `A5 step, ${name}, ${on}${missing}`,
    unit: "ms",
    work,
    on,
    against: pytorch ? [pytorch.on(threads)] : [],
    iterations: true,
  });
  return [race("1 thread", 1), ...(relaxed ? [race("relaxed SIMD", 1)] : []), race("2 threads", 2)];
}
