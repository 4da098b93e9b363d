/** Contractions by tiles in registers: each invocation computes a tile of results from operands where they are. */
import type { ContractKernel, ProgramBuffer, Read } from "@banach/autograd/backend";
import { literal, scalarType } from "../wgsl/operations.ts";
import { type AxisKind, type ContractPlan, lastOf, none, order } from "./contract-plan.ts";
import { storeResults } from "./contract-results.ts";
import { addressText, splitIndex } from "./point-writer.ts";
import { COMPONENTS, inQuads, isQuad, quadAccess } from "./quads.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";
import { range } from "./range.ts";

/** Results that an invocation keeps in registers: rows and columns. */
export interface RegisterTile {
  readonly rows: number;
  readonly columns: number;
}

/**
 * As large as leaves everybody something to do. On a processor, 64 results in registers make the most of what is loaded:
 * on SwiftShader 2.0 to 2.9 GFLOP/s, and 1.2 with 16 of them.
 */
export function registerTile(
  { tuning, invocations }: ShaderLimits,
  { size }: ContractPlan,
  scope: Scope,
): RegisterTile {
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

/** Along what an operand is loaded by quads: the terms, or its own rows or columns. */
type Along = "k" | "own" | null;

const readOf = (plan: ContractPlan, kind: "m" | "n"): Read => (kind === "m" ? plan.left : plan.right);

/** Four terms are written out for a few results, or where there is much to multiply: their code takes long to compile. */
const FEW_RESULTS = 16;
const MUCH_WORK = 2 ** 21;

function alongOf(plan: ContractPlan, kind: "m" | "n", { rows, columns }: RegisterTile): Along {
  const { access } = readOf(plan, kind);
  const { batch, m, n, k } = plan.size;
  const suits = (other: AxisKind): boolean =>
    (plan.axes[other].at(-1) ?? 1) % 4 === 0 && isQuad(access, lastOf(plan, other));
  if (suits("k") && (rows * columns <= FEW_RESULTS || batch * m * n * k >= MUCH_WORK)) return "k";
  return (kind === "m" ? rows : columns) % 4 === 0 && suits(kind) ? "own" : null;
}

/** Operands that are loaded by quads, if they are bound as vectors. */
export function quadsOfTile(plan: ContractPlan, tile: RegisterTile): readonly ProgramBuffer[] {
  return (["m", "n"] as const)
    .filter((kind) => alongOf(plan, kind, tile) !== null)
    .map((kind) => readOf(plan, kind).buffer);
}

/** The terms of a round: their indices along k, and if they are a quad, those of the quad. */
interface Terms {
  readonly each: readonly (readonly string[])[];
  readonly quad: readonly string[];
}

/** An invocation's part of an operand. */
interface Operand {
  readonly along: Along;
  /** Loads the values of a round; returns their names by term and by row or column. */
  load(terms: Terms): readonly (readonly string[])[];
}

/** @param at of the invocation's tile: the index along each axis of the batch, and the tile's number along m or n */
function operandOf(
  w: ShaderWriter,
  plan: ContractPlan,
  kind: "m" | "n",
  tile: RegisterTile,
  at: { readonly batch: readonly string[]; readonly number: string },
): Operand {
  const width = kind === "m" ? tile.rows : tile.columns;
  const { buffer, access: elements } = readOf(plan, kind);
  const along = w.isVector(buffer) ? alongOf(plan, kind, tile) : null;
  const access = along === null ? elements : quadAccess(elements, lastOf(plan, along === "k" ? "k" : kind));
  const zeros = { batch: none(plan, "batch"), m: none(plan, "m"), n: none(plan, "n"), k: none(plan, "k") };
  const own = plan.axes[kind];
  const loads = along === "own" ? width / 4 : width;
  const sizes = along === "own" ? inQuads(own) : own;
  const bases = range(loads).map((i) => {
    const index = `${at.number}${loads === 1 ? "" : ` * ${loads}u`}${i === 0 ? "" : ` + ${i}u`}`;
    const split = splitIndex(w, index.includes(" ") ? w.let(index, kind) : index, sizes);
    return w.let(addressText(w, access, order({ ...zeros, batch: at.batch, [kind]: split })), "a");
  });
  const moved = { ...access, offset: 0, loops: [] };
  return {
    along,
    load: ({ each, quad }) => {
      const loaded = (along === "k" ? [quad] : each).map((k) => {
        const step = w.let(addressText(w, moved, order({ ...zeros, k })), "o");
        return bases.map((base) => {
          const address = `${base} + ${step}`;
          return w.let(along === null ? w.load(buffer, address) : w.loadQuad(buffer, address));
        });
      });
      const component = (name: string | undefined, i: number): string => `${name ?? ""}.${COMPONENTS[i & 3] ?? ""}`;
      return each.map((_, term) =>
        range(width).map((i) => {
          if (along === "k") return component(loaded[0]?.[i], term);
          return along === "own" ? component(loaded[term]?.[i >> 2], i) : (loaded[term]?.[i] ?? "");
        }),
      );
    },
  };
}

/** Returns the workgroups needed. */
export function writeRegisterTiles(
  w: ShaderWriter,
  scope: Scope,
  { left: { dtype } }: ContractKernel,
  plan: ContractPlan,
  tile: RegisterTile,
): number {
  const { size, axes } = plan;
  const { rows, columns } = tile;
  const [down, across] = [Math.ceil(size.m / rows), Math.ceil(size.n / columns)];
  return eachPoint(w, scope, size.batch * down * across, (task) => {
    const [b = "0u", i = "0u", j = "0u"] = splitIndex(w, task, [size.batch, down, across]);
    const batch = splitIndex(w, b, axes.batch);
    const left = operandOf(w, plan, "m", tile, { batch, number: i });
    const right = operandOf(w, plan, "n", tile, { batch, number: j });
    const sums = range(rows).map(() => range(columns).map(() => w.fresh("s")));
    for (const name of sums.flat()) w.line(`var ${name}: ${scalarType(dtype)} = ${literal(dtype, 0)};`);
    const byQuads = left.along === "k" || right.along === "k";
    const step = w.fresh("k");
    w.block(`for (var ${step} = 0u; ${step} < ${byQuads ? size.k / 4 : size.k}u; ${step}++)`, () => {
      const terms = termsOf(w, axes.k, step, byQuads);
      const [xs, ys] = [left.load(terms), right.load(terms)];
      terms.each.forEach((_, term) => {
        sums.forEach((row, r) => {
          row.forEach((sum, c) => {
            w.line(`${sum} += ${xs[term]?.[r] ?? ""} * ${ys[term]?.[c] ?? ""};`);
          });
        });
      });
    });
    const firstRow = rows === 1 ? i : w.let(`${i} * ${rows}u`, "m");
    const firstColumn = columns === 1 ? j : w.let(`${j} * ${columns}u`, "n");
    storeResults(w, plan, {
      batch,
      sums,
      row: (r) => `${firstRow} + ${r}`,
      column: (c) => `${firstColumn} + ${c}`,
      exceeds: { m: size.m % rows !== 0, n: size.n % columns !== 0 },
    });
  });
}

function termsOf(w: ShaderWriter, sizes: readonly number[], step: string, byQuads: boolean): Terms {
  if (!byQuads) {
    const index = splitIndex(w, step, sizes);
    return { each: [index], quad: index };
  }
  const quad = splitIndex(w, step, inQuads(sizes));
  const first = quad.at(-1) ?? "0u";
  const each = COMPONENTS.map((_, i) => [
    ...quad.slice(0, -1),
    i === 0 ? `(${first} * 4u)` : `(${first} * 4u + ${i}u)`,
  ]);
  return { each, quad };
}
