/**
 * Which temporaries of a region stay in registers. A region works on a few rows; where its kernels are elementwise over
 * [rows, columns], or combine the columns of each row, an invocation can own the same elements in all of them: what it
 * stores, it alone reads. So a fixed-point iteration touches no memory and waits for nobody, but in sums across columns.
 */
import {
  type Access,
  expressionsOf,
  type ForLoop,
  isKernel,
  type Kernel,
  type ProgramBuffer,
  type Read,
  readBy,
  type Step,
  visitExpression,
  visitSteps,
  writtenBy,
} from "@banach/autograd/backend";
import { acrossShape, type RowKernel, rowKernel, type RowShape } from "./row-form.ts";
import type { ShaderLimits } from "./shader-writer.ts";

/** How rows are dealt out to the invocations of a workgroup: `perRow` of them for each, side by side. */
export interface RowPlan {
  readonly shape: RowShape;
  /** A power of two that divides the columns. */
  readonly perRow: number;
  /** Of a workgroup: a power of two, of which the last ones may have no row. */
  readonly invocations: number;
  /** Temporaries that have no memory: one value for each row, or one for each element. */
  readonly residents: ReadonlyMap<ProgramBuffer, "narrow" | "wide">;
  /** The kernels that are written for registers, among them all in fixed points that have the form. */
  readonly kernels: ReadonlyMap<Kernel, RowKernel>;
}

/** Elements of a row that an invocation owns at most: all have code of their own. */
const MOST_ELEMENTS = 16;

/** On a GPU, where there are lanes enough. */
const FEW_ELEMENTS = 4;

/** Columns from which it pays. */
const LEAST_COLUMNS = 8;

/**
 * Null where nothing would be gained: outside fixed points, and where rows do not fit.
 * @param wanted invocations that the kernels of the region have use for
 */
export function planRows(
  loop: ForLoop,
  locals: readonly ProgramBuffer[],
  wanted: number,
  limits: ShaderLimits,
): RowPlan | null {
  const shape = shapeOf(loop.body);
  if (shape === null) return null;
  const { tuning } = limits;
  const rows = 2 ** Math.ceil(Math.log2(shape.rows));
  let perRow = lanesPerRow(shape.columns, rows, wanted, limits);
  while (perRow > 1 && (shape.columns % perRow !== 0 || rows * perRow > limits.invocations)) perRow /= 2;
  const elements = shape.columns / perRow;
  const invocations = tuning.tiles ? Math.max(wanted, rows * perRow) : rows * perRow;
  if (rows > limits.invocations || elements > MOST_ELEMENTS) return null;
  const residents = residentsOf(loop.body, locals, shape, elements, tuning.registers);
  const kernels = new Map<Kernel, RowKernel>();
  const take = (step: Step): void => {
    const form = isKernel(step) ? rowKernel(step, shape) : null;
    if (isKernel(step) && form !== null) kernels.set(step, form);
  };
  visitSteps(loop.body, (step) => {
    if (step.kind === "while") visitSteps([step], take);
    else if (isKernel(step) && touchedBy(step).some((buffer) => residents.has(buffer))) take(step);
  });
  return { shape, perRow, invocations, residents, kernels };
}

/** As many as there are, or so few that they are one subgroup and need not wait for each other. A power of two. */
function lanesPerRow(columns: number, rows: number, wanted: number, { tuning, subgroup }: ShaderLimits): number {
  const most = 2 ** Math.ceil(Math.log2(Math.max(1, wanted / rows)));
  const least = tuning.tiles ? Math.max(subgroup, columns / FEW_ELEMENTS) : Math.max(4 / rows, columns / MOST_ELEMENTS);
  const few = 2 ** Math.ceil(Math.log2(Math.max(1, least)));
  // On a processor, fewer are always better.
  return !tuning.tiles || few === subgroup ? few : Math.max(few, most);
}

/** That of most sums across columns in loops that repeat until something is small. */
function shapeOf(body: readonly Step[]): RowShape | null {
  const counts = new Map<string, { readonly shape: RowShape; count: number }>();
  visitSteps(body, (step) => {
    if (step.kind !== "while") return;
    visitSteps(step.body, (inner) => {
      const shape = isKernel(inner) && inner.kind === "reduce" ? acrossShape(inner) : null;
      if (shape === null || shape.columns < LEAST_COLUMNS) return;
      const key = `${shape.rows} ${shape.columns}`;
      const known = counts.get(key) ?? { shape, count: 0 };
      known.count++;
      counts.set(key, known);
    });
  });
  return [...counts.values()].sort((a, b) => b.count - a.count)[0]?.shape ?? null;
}

export const touchedBy = (kernel: Kernel): readonly ProgramBuffer[] => [...readBy(kernel), ...writtenBy(kernel)];

/** Whether what a kernel stores is the work of one invocation: not one element for all columns of a row. */
export function isOwn({ form }: RowKernel, { strides: [, column = 0] }: Access): boolean {
  return form !== "wide" || column !== 0;
}

/** Of an access in the form of rows: two that agree touch the same elements in the same invocations. */
export const keyOf = ({ offset, strides: [row = 0, column = 0, term = 0], loops }: Access): string =>
  [offset, row, column, term, ...loops.map(({ counter, stride }) => `${counter.name} ${stride}`)].join();

/** Locals that are touched by kernels over the rows alone, and in one way. */
function residentsOf(
  body: readonly Step[],
  locals: readonly ProgramBuffer[],
  shape: RowShape,
  elements: number,
  registers: number,
): RowPlan["residents"] {
  const found = new Map<ProgramBuffer, { readonly place: string; readonly form: "narrow" | "wide"; uses: number }>();
  const excluded = new Set<ProgramBuffer>();
  const local = new Set(locals);
  const touch = (buffer: ProgramBuffer, access: Access): void => {
    if (!local.has(buffer)) return;
    const [, column = 0, term = 0] = access.strides;
    const form = column === 0 ? "narrow" : "wide";
    const place = keyOf(access);
    const known = found.get(buffer) ?? { place, form, uses: 0 };
    known.uses++;
    found.set(buffer, known);
    if (known.place !== place || term !== 0 || access.loops.length > 0) excluded.add(buffer);
  };
  visitSteps(body, (step) => {
    if (!isKernel(step)) return;
    const kernel = rowKernel(step, shape);
    if (kernel === null) {
      for (const buffer of touchedBy(step)) excluded.add(buffer);
      return;
    }
    for (const { buffer, access } of kernel.stores) {
      touch(buffer, access);
      if (!isOwn(kernel, access)) excluded.add(buffer);
    }
    for (const { buffer, access } of readsOf(kernel)) touch(buffer, access);
    for (const buffer of gatheredBy(step)) excluded.add(buffer);
  });
  const residents = new Map<ProgramBuffer, "narrow" | "wide">();
  let room = registers;
  const wanted = [...found].filter(([buffer]) => !excluded.has(buffer)).sort(([, a], [, b]) => b.uses - a.uses);
  for (const [buffer, { form }] of wanted) {
    const words = form === "wide" ? elements : 1;
    if (words > room) continue;
    room -= words;
    residents.set(buffer, form);
  }
  return residents;
}

/** What a kernel reads at places that it computes. */
export function gatheredBy(kernel: Kernel): ReadonlySet<ProgramBuffer> {
  const found = new Set<ProgramBuffer>();
  for (const root of expressionsOf(kernel)) {
    visitExpression(root, (node) => {
      if (node.kind === "gather") found.add(node.buffer);
    });
  }
  return found;
}

/** Everything that a kernel reads at places that are known. */
export function readsOf({ reduction, stores }: RowKernel): readonly Read[] {
  const found: Read[] = [];
  for (const root of [...(reduction === null ? [] : [reduction.value]), ...stores.map(({ value }) => value)]) {
    visitExpression(root, (node) => {
      if (node.kind === "read") found.push(node);
    });
  }
  return found;
}
