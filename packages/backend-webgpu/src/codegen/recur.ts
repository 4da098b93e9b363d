/**
 * Linear recurrences h = a h + b, in one of three ways. With many rows, an invocation runs through all of time for one.
 * With few, time is divided into chunks: what a chunk does to any h is h -> A h + B, and these maps are composed from chunk
 * to chunk before each chunk runs from where the one before it ends. The chunks of a row are the lanes of one workgroup,
 * or for long sequences invocations of a dispatch, with another dispatch for the composition between.
 * Maps do not commute: their order is that of time, and the tree in which they are composed depends on shapes alone.
 */
import {
  accessesOf,
  type DType,
  type Expression,
  groupAxes,
  mapAll,
  type RecurKernel,
  regroup,
  sizeOf,
  type Store,
} from "@banach/autograd/backend";
import { literal, scalarType } from "../wgsl/operations.ts";
import { beforeLoop, type BeforeLoop, PointWriter, splitIndex } from "./point-writer.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";

/** Axes merged: those before time, time, those after it. */
interface Plan {
  readonly before: number;
  /** Sizes of all axes but time. */
  readonly rows: readonly number[];
  readonly length: number;
  readonly reverse: boolean;
  readonly dtype: DType;
  readonly a: Expression;
  readonly b: Expression;
  readonly stores: readonly Store[];
}

function planOf({ shape, axis: time, a, b, reverse, stores }: RecurKernel): Plan {
  const axes = shape.map((_, axis) => axis);
  const accesses = accessesOf([a, b], stores);
  const outer = groupAxes(shape, axes.slice(0, time), accesses);
  const inner = groupAxes(shape, axes.slice(time + 1), accesses);
  const { sizes, access } = regroup(shape, [...outer, [time], ...inner]);
  const moved = mapAll([a, b], stores, access);
  const [first = a, second = b] = moved.expressions;
  const rows = sizes.filter((_, axis) => axis !== outer.length);
  const length = shape[time] ?? 0;
  return { before: outer.length, rows, length, reverse, dtype: a.dtype, a: first, b: second, stores: moved.stores };
}

/** How time is divided. */
export interface Chunks {
  readonly count: number;
  readonly size: number;
  /** Whether they are lanes of one workgroup. */
  readonly together: boolean;
}

/** Steps of time that are worth an invocation. */
const LEAST = 8;

/** Steps up to which a workgroup can have all chunks of a row. */
const TOGETHER = 4096;

/** Null if every row has one invocation. */
export function chunksOf(kernel: RecurKernel, { invocations, tuning }: ShaderLimits): Chunks | null {
  const length = kernel.shape[kernel.axis] ?? 0;
  const rows = sizeOf(kernel.shape) / Math.max(1, length);
  const wanted = Math.floor(Math.min(length / LEAST, tuning.busy / rows));
  // Twice the work, so at least four times the hands.
  if (wanted < 4) return null;
  const together = tuning.tiles && length <= TOGETHER;
  // Neighbouring rows are neighbouring lanes, so that they read together.
  const most = together ? invocations / Math.min(ROWS, 2 ** Math.floor(Math.log2(rows))) : wanted;
  const count = Math.min(together ? 2 ** Math.floor(Math.log2(wanted)) : wanted, most);
  return count < 4 ? null : { count, size: Math.ceil(length / count), together };
}

/** Rows that the lanes of a workgroup have side by side, if there are as many. */
const ROWS = 16;

/** One invocation per row. Returns the workgroups needed. */
export function writeRecur(w: ShaderWriter, kernel: RecurKernel, scope: Scope): number {
  const plan = planOf(kernel);
  return eachPoint(w, scope, sizeOf(plan.rows), (row) => {
    const h = declare(w, plan.dtype, "h", 0);
    runSteps(w, plan, row, { from: "0u", to: `${plan.length}u` }, h);
  });
}

/** The chunks of a row as lanes of one workgroup. Returns the workgroups needed. */
export function writeTogether(w: ShaderWriter, kernel: RecurKernel, { count, size }: Chunks): number {
  const plan = planOf(kernel);
  const { invocations } = w.limits;
  const side = invocations / count;
  const rows = sizeOf(plan.rows);
  const type = scalarType(plan.dtype);
  const chunk = w.let(`lane / ${side}u`, "chunk");
  const row = w.let(`group * ${side}u + lane % ${side}u`, "row");
  const steps = chunkOf(w, plan, chunk, size);
  const scales = w.workgroup(`array<${type}, ${invocations}>`, "scales");
  const offsets = w.workgroup(`array<${type}, ${invocations}>`, "offsets");
  const map = declareMap(w, plan.dtype);
  w.block(`if (${row} < ${rows}u)`, () => {
    composeSteps(w, plan, row, steps, map);
  });
  // Kogge and Stone: after the round of distance d, a lane has the maps of the 2 d chunks up to its own.
  for (let distance = 1; distance < count; distance *= 2) {
    w.line(`${scales}[lane] = ${map.scale};`);
    w.line(`${offsets}[lane] = ${map.offset};`);
    w.line("workgroupBarrier();");
    w.block(`if (${chunk} >= ${distance}u)`, () => {
      w.line(`${map.offset} = ${map.scale} * ${offsets}[lane - ${distance * side}u] + ${map.offset};`);
      w.line(`${map.scale} = ${map.scale} * ${scales}[lane - ${distance * side}u];`);
    });
    w.line("workgroupBarrier();");
  }
  w.line(`${offsets}[lane] = ${map.offset};`);
  w.line("workgroupBarrier();");
  w.block(`if (${row} < ${rows}u)`, () => {
    const h = declare(w, plan.dtype, "h", 0);
    w.block(`if (${chunk} > 0u)`, () => {
      w.line(`${h} = ${offsets}[lane - ${side}u];`);
    });
    runSteps(w, plan, row, steps, h);
  });
  return Math.ceil(rows / side);
}

/** Arrays of the maps of chunks, [chunk, row] each. */
export interface ChunkMaps {
  readonly scales: string;
  readonly offsets: string;
}

/** The first of three dispatches: the map of each chunk. Returns the workgroups needed. */
export function writeMaps(w: ShaderWriter, kernel: RecurKernel, { count, size }: Chunks, maps: ChunkMaps): number {
  const plan = planOf(kernel);
  const rows = sizeOf(plan.rows);
  return eachPoint(w, "grid", count * rows, (index) => {
    const [chunk = "0u", row = "0u"] = splitIndex(w, index, [count, rows]);
    const map = declareMap(w, plan.dtype);
    composeSteps(w, plan, row, chunkOf(w, plan, chunk, size), map);
    w.line(`${maps.scales}[${index}] = ${map.scale};`);
    w.line(`${maps.offsets}[${index}] = ${map.offset};`);
  });
}

/** The second: in place of each map's offset, h at the end of its chunk. Returns the workgroups needed. */
export function writeCarries(w: ShaderWriter, kernel: RecurKernel, { count }: Chunks, maps: ChunkMaps): number {
  const plan = planOf(kernel);
  const rows = sizeOf(plan.rows);
  return eachPoint(w, "grid", rows, (row) => {
    const h = declare(w, plan.dtype, "h", 0);
    const chunk = w.fresh("c");
    w.block(`for (var ${chunk} = 0u; ${chunk} < ${count}u; ${chunk}++)`, () => {
      const at = w.let(`${chunk} * ${rows}u + ${row}`, "at");
      w.line(`${h} = ${maps.scales}[${at}] * ${h} + ${maps.offsets}[${at}];`);
      w.line(`${maps.offsets}[${at}] = ${h};`);
    });
  });
}

/** The third: every chunk from where the one before it ends. Returns the workgroups needed. */
export function writeChunks(w: ShaderWriter, kernel: RecurKernel, { count, size }: Chunks, maps: ChunkMaps): number {
  const plan = planOf(kernel);
  const rows = sizeOf(plan.rows);
  return eachPoint(w, "grid", count * rows, (index) => {
    const [chunk = "0u", row = "0u"] = splitIndex(w, index, [count, rows]);
    const h = declare(w, plan.dtype, "h", 0);
    w.block(`if (${chunk} > 0u)`, () => {
      w.line(`${h} = ${maps.offsets}[${index} - ${rows}u];`);
    });
    runSteps(w, plan, row, chunkOf(w, plan, chunk, size), h);
  });
}

/** Steps in the order in which they are made, from 0: the first, and the one after the last. */
interface Steps {
  readonly from: string;
  readonly to: string;
}

function chunkOf(w: ShaderWriter, { length }: Plan, chunk: string, size: number): Steps {
  const from = w.let(`${chunk} * ${size}u`, "from");
  return { from, to: w.let(`min(${from} + ${size}u, ${length}u)`, "to") };
}

/** Runs h through some steps, and stores what the kernel stores at each. */
function runSteps(w: ShaderWriter, plan: Plan, row: string, steps: Steps, h: string): void {
  const values = [plan.a, plan.b, ...plan.stores.map(({ value }) => value)];
  eachStep(w, plan, row, steps, values, (point, before) => {
    const terms = new PointWriter(w, point, { before });
    w.line(`${h} = ${terms.value(plan.a)} * ${h} + ${terms.value(plan.b)};`);
    new PointWriter(w, point, { accumulated: h, before }).storeAll(plan.stores);
  });
}

/** The names of the variables that hold h -> scale h + offset. */
interface AffineMap {
  readonly scale: string;
  readonly offset: string;
}

function composeSteps(w: ShaderWriter, plan: Plan, row: string, steps: Steps, { scale, offset }: AffineMap): void {
  eachStep(w, plan, row, steps, [plan.a, plan.b], (point, before) => {
    const terms = new PointWriter(w, point, { before });
    const a = terms.value(plan.a);
    w.line(`${offset} = ${a} * ${offset} + ${terms.value(plan.b)};`);
    w.line(`${scale} = ${a} * ${scale};`);
  });
}

function eachStep(
  w: ShaderWriter,
  { before, rows, length, reverse }: Plan,
  row: string,
  { from, to }: Steps,
  values: readonly Expression[],
  body: (point: readonly string[], before: BeforeLoop) => void,
): void {
  const others = splitIndex(w, row, rows);
  const pointAt = (time: string): readonly string[] => [...others.slice(0, before), time, ...others.slice(before)];
  const known = beforeLoop(w, values, pointAt("0u"), new Set([before]));
  const step = w.fresh("t");
  w.block(`for (var ${step} = ${from}; ${step} < ${to}; ${step}++)`, () => {
    const time = reverse ? w.let(`${length - 1}u - ${step}`, "t") : step;
    body(pointAt(time), known);
  });
}

function declare(w: ShaderWriter, dtype: DType, hint: string, value: number): string {
  const name = w.fresh(hint);
  w.line(`var ${name}: ${scalarType(dtype)} = ${literal(dtype, value)};`);
  return name;
}

function declareMap(w: ShaderWriter, dtype: DType): AffineMap {
  return { scale: declare(w, dtype, "scale", 1), offset: declare(w, dtype, "offset", 0) };
}
