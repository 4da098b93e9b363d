/** Contractions: tiles in workgroup memory for large ones, register tiles or shared sums for small ones. */
import type { ContractKernel, Expression, ReduceKernel } from "@banach/autograd/backend";
import { scalarType } from "../wgsl/operations.ts";
import { type ContractPlan, none, order, planContract } from "./contract-plan.ts";
import { quadsOfResults, storeResults } from "./contract-results.ts";
import { addressText, splitIndex } from "./point-writer.ts";
import { COMPONENTS, NO_QUADS, type QuadUse } from "./quads.ts";
import { writeReduce } from "./reduce.ts";
import { quadsOfTile, type RegisterTile, registerTile, writeRegisterTiles } from "./register-tiles.ts";
import type { Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";
import { range } from "./range.ts";

/** How the results of a contraction are shared out: by tiles, or several invocations to a result. */
type Way = "workgroup tiles" | "shared sums" | RegisterTile;

function wayOf(plan: ContractPlan, scope: Scope, limits: ShaderLimits): Way {
  const { invocations, tuning } = limits;
  if (scope === "grid" && tuning.tiles && isTiled(plan)) return "workgroup tiles";
  const tile = registerTile(limits, plan, scope);
  const { batch, m, n, k } = plan.size;
  const tasks = batch * Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
  return tasks < Math.min(invocations, tuning.busy) / 2 && k >= 16 ? "shared sums" : tile;
}

/** The quads that a contraction loads and stores. */
export function quadsOfContract(kernel: ContractKernel, scope: Scope, limits: ShaderLimits): QuadUse {
  const plan = planContract(kernel);
  const way = wayOf(plan, scope, limits);
  if (way === "shared sums") return NO_QUADS;
  if (way === "workgroup tiles") return quadsOfResults(plan, 4);
  const loads = quadsOfTile(plan, way);
  // In a loop, others may store to the same buffers by elements.
  if (scope === "workgroup") return { ...NO_QUADS, loads };
  const results = quadsOfResults(plan, way.columns);
  return { ...results, loads: [...loads, ...results.loads] };
}

/** Returns the workgroups needed. */
export function writeContract(w: ShaderWriter, kernel: ContractKernel, scope: Scope): number {
  const plan = planContract(kernel);
  const way = wayOf(plan, scope, w.limits);
  if (way === "workgroup tiles") return writeTiled(w, kernel, plan);
  if (way === "shared sums") return writeReduce(w, asReduction(kernel), scope);
  return writeRegisterTiles(w, scope, kernel, plan, way);
}

/** Whether tiles of a contraction are worth the barriers round them. */
export function isTiled({ size: { m, n, k } }: ContractPlan): boolean {
  return m >= 16 && n >= 16 && k >= 8;
}

/** The same sums, each shared by several invocations. */
export function asReduction({ shape, k, left, right, stores }: ContractKernel): ReduceKernel {
  const value: Expression = { kind: "apply", operation: "mul", dtype: left.dtype, args: [left, right] };
  return { kind: "reduce", shape, reduced: k, combine: "sum", value, stores };
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
          w.line(`${sum} += ${x[r >> 2] ?? ""}.${COMPONENTS[r & 3] ?? ""} * ${y[c] ?? ""};`);
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
    sums: sums.map((row) => row.flatMap((sum) => COMPONENTS.map((component) => `${sum}.${component}`))),
    row: (r) => `${firstM} + (${ty} + (${r} / 4u) * ${threadsDown}u) * 4u + ${r} % 4u`,
    column: (c) => `${firstN} + (${tx} + (${c} / 4u) * ${threadsAcross}u) * 4u + ${c} % 4u`,
    exceeds: { m: size.m % tiling.m !== 0, n: size.n % tiling.n !== 0 },
  });
  return workgroups;
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
