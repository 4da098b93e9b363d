/** Contractions: tiles in workgroup memory for large ones, register tiles or shared sums for small ones. */
import {
  type ContractKernel,
  type Expression,
  type ReduceKernel,
  type Store,
  visitExpression,
} from "@banach/autograd/backend";
import { literal, scalarType } from "../wgsl/operations.ts";
import { type AxisKind, type ContractPlan, planContract } from "./contract-plan.ts";
import { addressText, PointWriter, splitIndex } from "./point-writer.ts";
import { writeReduce } from "./reduce.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** Results that an invocation keeps in registers: rows and columns. */
interface RegisterTile {
  readonly rows: number;
  readonly columns: number;
}

/** Returns the workgroups needed. */
export function writeContract(w: ShaderWriter, kernel: ContractKernel, scope: Scope): number {
  const plan = planContract(kernel);
  if (scope === "grid" && w.limits.tuning.tiles && isTiled(plan)) return writeTiled(w, kernel, plan);
  const tile = registerTile(w, plan, scope);
  const { batch, m, n, k } = plan.size;
  const tasks = batch * Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
  const { invocations, tuning } = w.limits;
  if (tasks < Math.min(invocations, tuning.busy) / 2 && k >= 16) return writeReduce(w, asReduction(kernel), scope);
  return writeDirect(w, scope, kernel, plan, tile);
}

/** Whether tiles of a contraction are worth the barriers round them. */
export function isTiled({ size: { m, n, k } }: ContractPlan): boolean {
  return m >= 16 && n >= 16 && k >= 8;
}

/**
 * As large as leaves everybody something to do. On a processor, 64 results in registers make the most of what is loaded:
 * on SwiftShader 2.0 to 2.9 GFLOP/s, and 1.2 with 16 of them.
 */
function registerTile(w: ShaderWriter, { size }: ContractPlan, scope: Scope): RegisterTile {
  const { tuning, invocations } = w.limits;
  const hands = scope === "grid" ? tuning.busy : invocations;
  const candidates = [
    { rows: 8, columns: 8 },
    { rows: 4, columns: 4 },
    { rows: 2, columns: 4 },
    { rows: 1, columns: 4 },
  ];
  const fits = ({ rows, columns }: RegisterTile): boolean => {
    const tasks = size.batch * Math.floor(size.m / rows) * Math.floor(size.n / columns);
    return (rows < 8 || !tuning.tiles) && size.m % rows === 0 && tasks >= hands;
  };
  return candidates.find(fits) ?? { rows: 1, columns: size.n >= 4 ? 4 : 1 };
}

/** The same sums, each shared by several invocations. */
export function asReduction({ shape, k, left, right, stores }: ContractKernel): ReduceKernel {
  const value: Expression = { kind: "apply", operation: "mul", dtype: left.dtype, args: [left, right] };
  return { kind: "reduce", shape, reduced: k, combine: "sum", value, stores };
}

type Indices = Readonly<Record<AxisKind, readonly string[]>>;

const order = ({ batch, m, n, k }: Indices): readonly string[] => [...batch, ...m, ...n, ...k];

const none = (plan: ContractPlan, kind: AxisKind): readonly string[] => plan.axes[kind].map(() => "0u");

/** Each invocation computes a tile of results by itself, from operands where they are. Returns the workgroups needed. */
function writeDirect(
  w: ShaderWriter,
  scope: Scope,
  kernel: ContractKernel,
  plan: ContractPlan,
  { rows, columns }: RegisterTile,
): number {
  const { size, axes } = plan;
  const across = Math.ceil(size.n / columns);
  const type = scalarType(kernel.left.dtype);
  const tasks = size.batch * Math.ceil(size.m / rows) * across;
  return eachPoint(w, scope, tasks, (task) => {
    const [b = "0u", i = "0u", j = "0u"] = splitIndex(w, task, [size.batch, Math.ceil(size.m / rows), across]);
    const batch = splitIndex(w, b, axes.batch);
    const at = (start: string, offset: number): string => (offset === 0 ? start : `${start} + ${offset}u`);
    const firstRow = rows === 1 ? i : w.let(`${i} * ${rows}u`, "m");
    const firstColumn = columns === 1 ? j : w.let(`${j} * ${columns}u`, "n");
    const m = range(rows).map((r) => splitIndex(w, named(w, at(firstRow, r)), axes.m));
    const n = range(columns).map((c) => splitIndex(w, named(w, at(firstColumn, c)), axes.n));
    const empty = { batch, m: none(plan, "m"), n: none(plan, "n"), k: none(plan, "k") };
    const lefts = m.map((index) => w.let(addressText(w, plan.left.access, order({ ...empty, m: index })), "a"));
    const rights = n.map((index) => w.let(addressText(w, plan.right.access, order({ ...empty, n: index })), "a"));
    const sums = m.map(() => n.map(() => w.fresh("s")));
    for (const name of sums.flat()) w.line(`var ${name}: ${type} = ${literal(kernel.left.dtype, 0)};`);
    const step = w.fresh("k");
    w.block(`for (var ${step} = 0u; ${step} < ${size.k}u; ${step}++)`, () => {
      const k = splitIndex(w, step, axes.k);
      const none0 = { batch: empty.batch.map(() => "0u"), m: empty.m, n: empty.n, k };
      const moved = (access: ContractPlan["left"]["access"]): string =>
        w.let(addressText(w, { ...access, offset: 0, loops: [] }, order(none0)), "o");
      const [leftStep, rightStep] = [moved(plan.left.access), moved(plan.right.access)];
      const x = lefts.map((base) => w.let(w.load(plan.left.buffer, `${base} + ${leftStep}`)));
      const y = rights.map((base) => w.let(w.load(plan.right.buffer, `${base} + ${rightStep}`)));
      sums.forEach((row, r) => {
        row.forEach((sum, c) => {
          w.line(`${sum} += ${x[r] ?? ""} * ${y[c] ?? ""};`);
        });
      });
    });
    storeResults(w, plan, {
      batch,
      sums,
      row: (r) => `${firstRow} + ${r}`,
      column: (c) => `${firstColumn} + ${c}`,
      exceeds: { m: size.m % rows !== 0, n: size.n % columns !== 0 },
    });
  });
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

function named(w: ShaderWriter, text: string): string {
  return text.includes(" ") ? w.let(text, "x") : text;
}

/** Shape of the tiles: results of a workgroup and of an invocation, and terms that are in workgroup memory at once. */
interface Tiling {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Of an invocation: a multiple of 4 each. */
  readonly rows: number;
  readonly columns: number;
  readonly doubled: boolean;
}

/** Tiles from which a device is full of workgroups. */
const MANY_TILES = 256;

function tilingOf(w: ShaderWriter, { size }: ContractPlan): Tiling {
  const { invocations, workgroupBytes } = w.limits;
  // A rectangle of invocations, each with a square of results.
  const across = 2 ** Math.floor(Math.log2(invocations) / 2);
  const down = invocations / across;
  const side = (results: number, k: number): Tiling => {
    const tiling = { m: down * results, n: across * results, k, rows: results, columns: results };
    return { ...tiling, doubled: 2 * 4 * k * (tiling.m + tiling.n) <= workgroupBytes };
  };
  const large = side(8, 8);
  const tiles = size.batch * Math.floor(size.m / large.m) * Math.floor(size.n / large.n);
  return tiles >= MANY_TILES ? large : side(4, 16);
}

/** Tiles of both operands go through workgroup memory; where there is room, the next ones are fetched meanwhile. */
function writeTiled(w: ShaderWriter, kernel: ContractKernel, plan: ContractPlan): number {
  const tiling = tilingOf(w, plan);
  const { size, axes } = plan;
  const type = scalarType(kernel.left.dtype);
  const [down, across] = [Math.ceil(size.m / tiling.m), Math.ceil(size.n / tiling.n)];
  const workgroups = size.batch * down * across;
  if (w.groupsOf(workgroups) > workgroups) w.line(`if (group >= ${workgroups}u) { return; }`);
  const [b = "0u", i = "0u", j = "0u"] = splitIndex(w, "group", [size.batch, down, across]);
  const batch = splitIndex(w, b, axes.batch);
  const [threadsDown, threadsAcross] = [tiling.m / tiling.rows, tiling.n / tiling.columns];
  const tx = w.let(`lane % ${threadsAcross}u`, "tx");
  const ty = w.let(`lane / ${threadsAcross}u`, "ty");
  const firstM = w.let(`${i} * ${tiling.m}u`, "m");
  const firstN = w.let(`${j} * ${tiling.n}u`, "n");
  const copies = tiling.doubled ? 2 : 1;
  const left = operandTile(w, plan, "m", batch, { first: firstM, width: tiling.m, depth: tiling.k, type, copies });
  const right = operandTile(w, plan, "n", batch, { first: firstN, width: tiling.n, depth: tiling.k, type, copies });
  const rowQuads = tiling.rows / 4;
  const columnQuads = tiling.columns / 4;
  const sums = range(tiling.rows).map(() => range(columnQuads).map(() => w.fresh("s")));
  for (const name of sums.flat()) w.line(`var ${name} = vec4<${type}>();`);
  const compute = (copy: string): void => {
    const kk = w.fresh("kk");
    w.block(`for (var ${kk} = 0u; ${kk} < ${tiling.k}u; ${kk}++)`, () => {
      const x = range(rowQuads).map((q) => w.let(left.read(copy, kk, `${ty} + ${q * threadsDown}u`), "x"));
      const y = range(columnQuads).map((q) => w.let(right.read(copy, kk, `${tx} + ${q * threadsAcross}u`), "y"));
      sums.forEach((row, r) => {
        row.forEach((sum, c) => {
          w.line(`${sum} += ${x[r >> 2] ?? ""}.${"xyzw".charAt(r & 3)} * ${y[c] ?? ""};`);
        });
      });
    });
  };
  const tiles = Math.ceil(size.k / tiling.k);
  const tile = w.fresh("tile");
  if (tiling.doubled) {
    const fetch = (at: string): readonly string[] => [...left.fetch(at), ...right.fetch(at)];
    const put = (copy: string, values: readonly string[]): void => {
      left.put(copy, values.slice(0, left.loads));
      right.put(copy, values.slice(left.loads));
    };
    put("0u", fetch("0u"));
    w.line("workgroupBarrier();");
    w.block(`for (var ${tile} = 0u; ${tile} < ${tiles}u; ${tile}++)`, () => {
      const next = tiles > 1 ? fetch(w.let(`(${tile} + 1u) * ${tiling.k}u`, "k")) : [];
      compute(w.let(`${tile} & 1u`, "now"));
      if (tiles > 1) put(w.let(`(${tile} + 1u) & 1u`, "then"), next);
      w.line("workgroupBarrier();");
    });
  } else {
    w.block(`for (var ${tile} = 0u; ${tile} < ${tiles}u; ${tile}++)`, () => {
      const at = w.let(`${tile} * ${tiling.k}u`, "k");
      left.put("0u", left.fetch(at));
      right.put("0u", right.fetch(at));
      w.line("workgroupBarrier();");
      compute("0u");
      w.line("workgroupBarrier();");
    });
  }
  storeResults(w, plan, {
    batch,
    sums: sums.map((row) => row.flatMap((sum) => range(4).map((lane) => `${sum}.${"xyzw".charAt(lane)}`))),
    row: (r) => `${firstM} + (${ty} + (${r} / 4u) * ${threadsDown}u) * 4u + ${r} % 4u`,
    column: (c) => `${firstN} + (${tx} + (${c} / 4u) * ${threadsAcross}u) * 4u + ${c} % 4u`,
    exceeds: { m: size.m % tiling.m !== 0, n: size.n % tiling.n !== 0 },
  });
  return workgroups;
}

/** The results that an invocation has, and where they belong. */
interface Results {
  readonly batch: readonly string[];
  /** Scalars by row and column. */
  readonly sums: readonly (readonly string[])[];
  /** Index along m of a row, along n of a column. */
  readonly row: (r: string) => string;
  readonly column: (c: string) => string;
  /** Whether some rows or columns may lie beyond the last. */
  readonly exceeds: { readonly m: boolean; readonly n: boolean };
}

/** Nodes of what is stored, over all results, up to which each result has its own code. */
const WRITTEN_OUT = 96;

/** Finishes and stores results: one after the other, or where that would be long, in a loop over a copy of them. */
function storeResults(w: ShaderWriter, plan: ContractPlan, { batch, sums, row, column, exceeds }: Results): void {
  const [rows, columns] = [sums.length, sums[0]?.length ?? 0];
  const inside = (name: string, size: number, mayExceed: boolean): string =>
    mayExceed ? `if (${name} < ${size}u)` : "";
  const results = isLong(plan.stores, rows * columns) ? w.fresh("results") : null;
  if (results !== null) w.line(`var ${results} = array(${sums.flat().join(", ")});`);
  const each = (count: number, body: (index: string, number: number) => void): void => {
    if (results === null) {
      for (const index of range(count)) body(`${index}u`, index);
      return;
    }
    const index = w.fresh("e");
    w.block(`for (var ${index} = 0u; ${index} < ${count}u; ${index}++)`, () => {
      body(index, 0);
    });
  };
  each(rows, (r, rowNumber) => {
    const m = w.let(row(r), "m");
    w.block(inside(m, plan.size.m, exceeds.m), () => {
      const mAxes = splitIndex(w, m, plan.axes.m);
      each(columns, (c, columnNumber) => {
        const n = w.let(column(c), "n");
        w.block(inside(n, plan.size.n, exceeds.n), () => {
          const named = sums[rowNumber]?.[columnNumber] ?? "";
          const accumulated = results === null ? named : w.let(`${results}[${r} * ${columns}u + ${c}]`);
          const axes = [...batch, ...mAxes, ...splitIndex(w, n, plan.axes.n)];
          new PointWriter(w, axes, { accumulated }).storeAll(plan.stores);
        });
      });
    });
  });
}

function isLong(stores: readonly Store[], results: number): boolean {
  let nodes = 0;
  for (const { value } of stores) visitExpression(value, () => nodes++);
  return nodes * results > WRITTEN_OUT;
}

interface TileOptions {
  /** Index along m or n at which the tile begins, and how much of that axis it holds. */
  readonly first: string;
  readonly width: number;
  readonly depth: number;
  readonly type: string;
  readonly copies: number;
}

interface OperandTile {
  /** Vectors that an invocation loads. */
  readonly loads: number;
  /** Loads an invocation's share of the tile from `k` on; returns the names of the vectors. */
  fetch(k: string): readonly string[];
  put(copy: string, values: readonly string[]): void;
  /** The vector of four neighbours along m or n, number `quad` of them. */
  read(copy: string, k: string, quad: string): string;
}

/** A tile [depth, width] of an operand, in vectors along its own axis. */
function operandTile(
  w: ShaderWriter,
  plan: ContractPlan,
  kind: "m" | "n",
  batch: readonly string[],
  { first, width, depth, type, copies }: TileOptions,
): OperandTile {
  const operand = kind === "m" ? plan.left : plan.right;
  const { invocations } = w.limits;
  const quads = width / 4;
  const vectors = depth * quads;
  const loads = Math.ceil(vectors / invocations);
  const memory = w.workgroup(`array<vec4<${type}>, ${copies * vectors}>`, kind === "m" ? "left" : "right");
  const own = plan.axes[kind];
  const ownStride = operand.access.strides[plan.axes.batch.length + (kind === "m" ? 0 : plan.axes.m.length)] ?? 0;
  // Neighbouring lanes on neighbouring elements of memory.
  const alongOwn = own.length === 1 && Math.abs(ownStride) === 1;
  const empty = { batch: batch.map(() => "0u"), m: none(plan, "m"), n: none(plan, "n"), k: none(plan, "k") };
  const base = w.let(addressText(w, operand.access, order({ ...empty, batch })), "a");
  const moved = { ...operand.access, offset: 0, loops: [] };
  const places = range(loads).map((load) => {
    const vector = load === 0 ? "lane" : w.let(`lane + ${load * invocations}u`, "l");
    const quad = w.let(alongOwn ? `${vector} % ${quads}u` : `${vector} / ${depth}u`, "q");
    const kk = w.let(alongOwn ? `${vector} / ${quads}u` : `${vector} % ${depth}u`, "kk");
    const addresses = range(4).map((lane) => {
      const index = splitIndex(w, w.let(`${first} + ${quad} * 4u + ${lane}u`, "x"), own);
      return w.let(`${base} + ${addressText(w, moved, order({ ...empty, [kind]: index }))}`, "a");
    });
    return { vector, quad, kk, addresses };
  });
  const guarded = (vector: string, body: () => void): void => {
    w.block(vectors % invocations === 0 ? "" : `if (${vector} < ${vectors}u)`, body);
  };
  return {
    loads,
    fetch: (k) =>
      places.map(({ kk, addresses }) => {
        const name = w.fresh("f");
        w.line(`var ${name} = vec4<${type}>();`);
        const at = w.let(`${k} + ${kk}`, "k");
        w.block(plan.size.k % depth === 0 && k === "0u" ? "" : `if (${at} < ${plan.size.k}u)`, () => {
          const step = w.let(addressText(w, moved, order({ ...empty, k: splitIndex(w, at, plan.axes.k) })), "o");
          const values = addresses.map((address) => w.load(operand.buffer, `${address} + ${step}`));
          w.line(`${name} = vec4<${type}>(${values.join(", ")});`);
        });
        return name;
      }),
    put: (copy, values) => {
      places.forEach(({ vector, quad, kk }, i) => {
        guarded(vector, () => {
          w.line(`${memory}[${copy} * ${vectors}u + ${kk} * ${quads}u + ${quad}] = ${values[i] ?? ""};`);
        });
      });
    },
    read: (copy, k, quad) => `${memory}[${copy} * ${vectors}u + ${k} * ${quads}u + ${quad}]`,
  };
}
