/** What a run of the suite tells besides the rows: what is sent to the device, and what was wanted. */
import { aligned, digits, type Row } from "../report.ts";
import type { Inspection, WebgpuResults } from "./measure.ts";

/** What one contestant sends to the device for a row's work. */
export interface SentRow {
  readonly work: string;
  /** "fused" and "composed" are ours. */
  readonly by: string;
  readonly dispatches: number;
  readonly submits: number;
  readonly reads: number;
  /** Equations of the graph, those of bodies counted once, and as often as they run; null for peers. */
  readonly equations: number | null;
  readonly executed: number | null;
  /** Read and written by the kernels of the lowered program, estimated. */
  readonly bytes: number | null;
  /** Microseconds of the CPU: for each dispatch, what of it WebGPU's calls take alone, and for the submissions of a run. */
  readonly encode: number | null;
  readonly floor: number | null;
  readonly submit: number | null;
  /** Milliseconds, by timestamps. */
  readonly deviceTime: number | null;
  /** Shares of what a copy, and multiplications in registers, reach on the device. */
  readonly ofCopy: number | null;
  readonly ofMulAdd: number | null;
}

/** Something that was asked of the backend. */
export interface Wanted {
  readonly what: string;
  readonly value: number;
  readonly wanted: string;
  readonly isMet: boolean;
}

export function sentRows({ races, device }: WebgpuResults): readonly SentRow[] {
  return races.flatMap(({ name, raced }) =>
    [raced.ours, ...raced.rivals].flatMap(({ name: by, inspected }) =>
      inspected === undefined ? [] : [sentRow(name, by, inspected, device)],
    ),
  );
}

function sentRow(work: string, by: string, inspected: Inspection, device: WebgpuResults["device"]): SentRow {
  const { dispatches, submits, reads, deviceTime, own } = inspected;
  const share = (amount: number | null | undefined, rate: number | undefined): number | null =>
    amount === null || amount === undefined || rate === undefined || deviceTime === null
      ? null
      : amount / 1e6 / rate / deviceTime;
  return {
    work,
    by,
    dispatches,
    submits,
    reads,
    equations: own?.equations ?? null,
    executed: own?.executed ?? null,
    bytes: own?.bytes ?? null,
    encode: own?.encode ?? null,
    floor: own?.floor ?? null,
    submit: own?.submit ?? null,
    deviceTime,
    ofCopy: share(own?.bytes, device?.copy),
    ofMulAdd: share(own?.operations, device?.mulAdd),
  };
}

/** Those of the rows that were measured. */
export function wantedOf(rows: readonly Row[], sent: readonly SentRow[]): readonly Wanted[] {
  const found: Wanted[] = [];
  const check = (what: string, value: number | null | undefined, limit: number, kind: "at most" | "at least"): void => {
    if (value === null || value === undefined) return;
    const isMet = kind === "at most" ? value <= limit : value >= limit;
    found.push({ what, value, wanted: `${kind} ${Number(limit.toFixed(2))}`, isMet });
  };
  const ours = (start: string): SentRow | undefined =>
    sent.find(({ work, by }) => work.startsWith(start) && by === "fused");
  const encoding = ours("FP-RNN train step, encoding");
  const step = ours("FP-RNN train step B") ?? encoding;
  if (step?.equations) {
    check("dispatches for each equation of the FP-RNN train step", step.dispatches / step.equations, 1 / 3, "at most");
    const { encode, floor } = encoding ?? step;
    const calls = floor === null ? "" : `; WebGPU's calls alone take ${digits(floor)}`;
    check(`us of CPU for each dispatch of it${calls}`, encode, 3, "at most");
  }
  const [usual, precise] = [ours("FP-Mamba forward B"), ours("FP-Mamba forward, tol")];
  if (usual !== undefined && precise !== undefined) {
    const more = precise.dispatches - usual.dispatches;
    check("dispatches that more iterations add to FP-Mamba forward", more, 0, "at most");
  }
  for (const { work, ratio, peers } of rows) {
    if (Object.keys(peers).includes("composed")) continue;
    if (/^(GEMM|layer norm)/.test(work)) check(`best peer's time / ours, ${work}`, ratio, 1, "at least");
    if (/^(recurrence|FP-Mamba forward B)/.test(work)) check(`best peer's time / ours, ${work}`, ratio, 5, "at least");
  }
  return found;
}

export function sentTable(rows: readonly SentRow[]): string {
  const timed = rows.some(({ deviceTime }) => deviceTime !== null);
  const show = (value: number | null, scale = 1): string => (value === null ? "-" : digits(value * scale));
  const whole = (value: number | null): string => (value === null ? "-" : value.toFixed(0));
  const percent = (value: number | null): string => (value === null ? "-" : `${(100 * value).toFixed(0)} %`);
  const header = [
    "a run of",
    "by",
    "dispatches",
    "submits",
    "reads",
    "equations",
    "as run",
    "MB",
    "us/dispatch",
    "calls alone",
    "us submit",
  ];
  const more = timed ? ["device ms", "of copy", "of fma"] : [];
  const body = rows.map((row, i) => [
    rows[i - 1]?.work === row.work ? "" : row.work,
    row.by,
    whole(row.dispatches),
    whole(row.submits),
    whole(row.reads),
    whole(row.equations),
    whole(row.executed),
    show(row.bytes, 1e-6),
    show(row.encode),
    show(row.floor),
    show(row.submit),
    ...(timed ? [show(row.deviceTime), percent(row.ofCopy), percent(row.ofMulAdd)] : []),
  ]);
  return aligned([[...header, ...more], ...body], [0, 1]);
}

export function wantedTable(wanted: readonly Wanted[]): string {
  const rows = wanted.map(({ what, value, wanted: limit, isMet }) => [
    what,
    digits(value),
    limit,
    isMet ? "yes" : "NO",
  ]);
  return aligned([["wanted", "is", "wanted", "met"], ...rows], [0, 2, 3]);
}
