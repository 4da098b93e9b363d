/**
 * Reductions. Several invocations share a point where there are few points: each takes every n-th term, and a tree in
 * workgroup memory combines their parts. Where there are very few points for long sums, a first dispatch leaves the parts
 * of several workgroups and a second one combines them. All of it depends on shapes alone, and so do the bits.
 */
import {
  type Access,
  type Combine,
  costOf,
  type DType,
  type Expression,
  planReduce,
  type ReduceKernel,
  type ReducePlan,
  sizeOf,
  visitExpression,
} from "@banach/autograd/backend";
import { literal, operationText, scalarType } from "../wgsl/operations.ts";
import { beforeLoop, PointWriter, splitIndex } from "./point-writer.ts";
import type { Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";

/** Terms that one invocation adds up before it pays to have several. */
const ALONE = 32;

/** Terms that one invocation adds up sooner than several have waited for each other. */
const FEW = 8;

/** Terms that are written out in a round of a loop, if they are cheap, in additions: so that several loads are on their way. */
const COPIES = 4;
const CHEAP = 8;

/** Terms per workgroup from which a sum is divided among several. */
const SPLIT = 16384;
const MAX_PARTS = 256;

/** What a lane carries: a value, and for argmax where it is. */
export class Accumulator {
  private readonly w: ShaderWriter;
  private readonly combine: Combine;
  private readonly dtype: DType;

  constructor(w: ShaderWriter, combine: Combine, dtype: DType) {
    this.w = w;
    this.combine = combine;
    this.dtype = dtype;
  }

  /** Types of the words of workgroup memory per lane. */
  get variables(): readonly string[] {
    return storedTypes(this.combine, this.dtype);
  }

  /** Declares the variables of a lane; returns their names. */
  declare(): readonly string[] {
    const { w, combine, dtype } = this;
    const value = w.fresh("acc");
    w.line(`var ${value} = ${combine === "sum" ? literal(dtype, 0) : lowest(dtype)};`);
    if (combine !== "argmax") return [value];
    const position = w.fresh("at");
    w.line(`var ${position} = ${NOWHERE};`);
    return [value, position];
  }

  /** Adds a term, or another lane's result. */
  add([value = "", position = ""]: readonly string[], [x = "", at = ""]: readonly string[]): void {
    const { w, combine, dtype } = this;
    if (combine === "argmax") {
      const beats = w.define(`beats_${dtype}`, beatsText(dtype));
      w.block(`if (${beats}(${x}, ${at}, ${value}, ${position}))`, () => {
        w.line(`${value} = ${x};`);
        w.line(`${position} = ${at};`);
      });
      return;
    }
    if (combine === "sum") w.line(`${value} += ${x};`);
    else if (dtype === "bool") w.line(`${value} = ${value} || ${x};`);
    else {
      const operand = { kind: "accumulated", dtype } as const;
      const max = { kind: "apply", operation: "max", dtype, args: [operand, operand] } as const;
      w.line(`${value} = ${operationText(max, [value, x], w.use)};`);
    }
  }

  /** To memory and back: bools are words there. */
  stored(text: string, i: number): string {
    return i === 0 && this.dtype === "bool" ? `select(0u, 1u, ${text})` : text;
  }

  loaded(text: string, i: number): string {
    return i === 0 && this.dtype === "bool" ? `(${text} != 0u)` : text;
  }

  /** What an epilogue finishes. */
  result([value = "", position = ""]: readonly string[]): string {
    return this.combine === "argmax" ? `i32(${position})` : value;
  }
}

const NOWHERE = "0xffffffffu";

function lowest(dtype: DType): string {
  if (dtype === "int32") return literal(dtype, -(2 ** 31));
  return literal(dtype, dtype === "uint32" || dtype === "bool" ? 0 : -Infinity);
}

/** Whether x at one place is what argmax takes rather than y at another: the first of the largest, a NaN above all. */
function beatsText(dtype: DType): string {
  const type = scalarType(dtype);
  const isNan = (name: string): string => `((bitcast<u32>(${name}) & 0x7fffffffu) > 0x7f800000u)`;
  const isFloat = dtype === "float32" || dtype === "float16";
  return [
    `fn beats_${dtype}(x: ${type}, at: u32, y: ${type}, other: u32) -> bool {`,
    `  if (at == ${NOWHERE}) { return false; }`,
    `  if (other == ${NOWHERE}) { return true; }`,
    ...(isFloat
      ? [
          `  let nan_x = ${isNan("x")};`,
          `  let nan_y = ${isNan("y")};`,
          "  if (nan_x || nan_y) { return nan_x && (!nan_y || at < other); }",
        ]
      : []),
    "  return x > y || (x == y && at < other);",
    "}",
  ].join("\n");
}

/** How the lanes of a workgroup are dealt out. */
interface Deal {
  /** Lanes per point, a power of two. */
  readonly perPoint: number;
  /** Whether the lanes of one point are neighbours, rather than those of neighbouring points. */
  readonly partsFirst: boolean;
}

/** Reads that are contiguous along an axis, less those that are strided. */
function contiguity(value: Expression, axis: number | undefined): number {
  let score = 0;
  const see = ({ strides }: Access): void => {
    const stride = axis === undefined ? 0 : Math.abs(strides[axis] ?? 0);
    if (stride !== 0) score += stride === 1 ? 1 : -1;
  };
  visitExpression(value, (node) => {
    if (node.kind === "read") see(node.access);
  });
  return score;
}

function dealOf(w: ShaderWriter, scope: Scope, plan: ReducePlan, points: number, terms: number): Deal {
  const partsFirst = contiguity(plan.value, plan.reduced.at(-1)) >= contiguity(plan.value, plan.kept.at(-1));
  const { invocations, tuning } = w.limits;
  let perPoint = 1;
  if (scope === "workgroup") {
    // The lanes are there, and have nothing else to do; but they would wait for each other.
    while (terms > FEW && perPoint < terms && points * perPoint * 2 <= invocations) perPoint *= 2;
    return { perPoint, partsFirst };
  }
  // Rows that are read along themselves want neighbours on neighbouring terms, however many points there are.
  const enough = partsFirst && tuning.tiles ? Infinity : tuning.busy;
  while (perPoint < invocations && terms > ALONE * perPoint && points * perPoint < enough) perPoint *= 2;
  return { perPoint, partsFirst };
}

/** Workgroups that share a point. */
export function partsOf({ invocations, tuning }: ShaderLimits, kernel: ReduceKernel): number {
  const points = sizeOf(kernel.shape);
  const terms = sizeOf(kernel.reduced);
  if (points * invocations > tuning.busy || terms < 2 * SPLIT) return 1;
  return Math.min(MAX_PARTS, Math.ceil(terms / SPLIT));
}

/** Returns the workgroups needed. */
export function writeReduce(w: ShaderWriter, kernel: ReduceKernel, scope: Scope): number {
  const plan = planReduce(kernel);
  const points = sizeOf(sizesOf(plan, plan.kept));
  const terms = sizeOf(sizesOf(plan, plan.reduced));
  const accumulator = new Accumulator(w, kernel.combine, kernel.value.dtype);
  return shared(w, scope, points, dealOf(w, scope, plan, points, terms), accumulator, {
    terms: (point, first, step, lane) => {
      const kept = splitIndex(w, point, sizesOf(plan, plan.kept));
      const term = termsOf(w, plan, kept);
      const copies = terms % (COPIES * step) === 0 && costOf(plan.value) <= CHEAP ? COPIES : 1;
      const all = (k: string): void => {
        for (let copy = 0; copy < copies; copy++) {
          const at = copy === 0 ? k : w.let(`${k} + ${copy * step}u`, "k");
          accumulator.add(lane, [term(at), at]);
        }
      };
      eachTerm(w, first, copies * step, `${terms}u`, all);
    },
    finish: (point, lane) => {
      const kept = splitIndex(w, point, sizesOf(plan, plan.kept));
      new PointWriter(w, kept, { accumulated: accumulator.result(lane) }).storeAll(plan.stores);
    },
  });
}

const sizesOf = ({ sizes }: ReducePlan, axes: readonly number[]): readonly number[] =>
  axes.map((axis) => sizes[axis] ?? 1);

/** What computes a term of a point, in a loop that begins after this. */
function termsOf(w: ShaderWriter, plan: ReducePlan, kept: readonly string[]): (k: string) => string {
  const outer = [...kept, ...plan.reduced.map(() => "0u")];
  const before = beforeLoop(w, [plan.value], outer, new Set(plan.reduced));
  return (k) => {
    const inner = splitIndex(w, k, sizesOf(plan, plan.reduced));
    return new PointWriter(w, [...kept, ...inner], { before }).value(plan.value);
  };
}

function eachTerm(w: ShaderWriter, first: string, step: number, end: string, body: (k: string) => void): void {
  const k = w.fresh("k");
  w.block(`for (var ${k} = ${first}; ${k} < ${end}; ${k} += ${step}u)`, () => {
    body(k);
  });
}

/** What is done for one point. */
interface PointWork {
  /** Accumulates the terms `first`, `first + step`, ... in the variables of a lane. */
  terms(point: string, first: string, step: number, lane: readonly string[]): void;
  finish(point: string, lane: readonly string[]): void;
}

/** Runs over the points, with the lanes of each; returns the workgroups needed. */
function shared(
  w: ShaderWriter,
  scope: Scope,
  points: number,
  { perPoint, partsFirst }: Deal,
  accumulator: Accumulator,
  work: PointWork,
): number {
  const { invocations } = w.limits;
  const together = invocations / perPoint;
  const round = (base: string): void => {
    const slot = perPoint === 1 ? "lane" : partsFirst ? `(lane / ${perPoint}u)` : `(lane % ${together}u)`;
    const part = perPoint === 1 ? "0u" : w.let(partsFirst ? `lane % ${perPoint}u` : `lane / ${together}u`, "part");
    const point = w.let(base === "" ? slot : `${base} + ${slot}`, "point");
    const lane = accumulator.declare();
    w.block(`if (${point} < ${points}u)`, () => {
      work.terms(point, part, perPoint, lane);
      if (perPoint === 1) work.finish(point, lane);
    });
    if (perPoint === 1) return;
    tree(w, accumulator, lane, { part, perPoint, distance: partsFirst ? 1 : together });
    w.block(`if (${part} == 0u && ${point} < ${points}u)`, () => {
      work.finish(point, lane);
    });
  };
  if (scope === "grid") {
    round(`group * ${together}u`);
    return Math.ceil(points / together);
  }
  if (points <= together) {
    w.block("", () => {
      round("");
    });
  } else {
    const base = w.fresh("base");
    w.block(`for (var ${base} = 0u; ${base} < ${points}u; ${base} += ${together}u)`, () => {
      round(base);
      if (perPoint > 1) {
        w.line("workgroupBarrier();");
        w.scratchIsFree();
      }
    });
  }
  return 1;
}

interface Tree {
  /** Which of a point's lanes this is, and how far apart they are. */
  readonly part: string;
  readonly perPoint: number;
  readonly distance: number;
}

/** Combines the lanes of each point in the first of them. */
function tree(w: ShaderWriter, accumulator: Accumulator, lane: readonly string[], at: Tree): void {
  // Neighbours of a subgroup read each other's registers; the sums are the same.
  const together = at.distance === 1 ? Math.min(w.limits.subgroup, at.perPoint) : 1;
  if (together < at.perPoint) combineInMemory(w, accumulator, lane, at, together);
  for (let half = together / 2; half >= 1; half /= 2) {
    const other = lane.map((name, i) => w.let(accumulator.loaded(w.shuffled(accumulator.stored(name, i), half), i)));
    accumulator.add(lane, other);
  }
}

/** Leaves the parts of a point in the first `least` of its lanes. */
function combineInMemory(
  w: ShaderWriter,
  accumulator: Accumulator,
  lane: readonly string[],
  at: Tree,
  least: number,
): void {
  const shared = accumulator.variables.map((type, i) => w.scratch(type, i));
  w.takeScratch();
  const keep = (): void => {
    lane.forEach((name, i) => {
      w.line(`${shared[i] ?? ""}[lane] = ${accumulator.stored(name, i)};`);
    });
  };
  keep();
  w.line("workgroupBarrier();");
  for (let half = at.perPoint / 2; half >= least; half /= 2) {
    w.block(`if (${at.part} < ${half}u)`, () => {
      const other = lane.map((_, i) =>
        w.let(accumulator.loaded(`${shared[i] ?? ""}[lane + ${half * at.distance}u]`, i)),
      );
      accumulator.add(lane, other);
      if (half > least) keep();
    });
    if (half > least) w.line("workgroupBarrier();");
  }
}

/** The first of two dispatches: each workgroup leaves its part of a point. Returns the workgroups needed. */
export function writeParts(w: ShaderWriter, kernel: ReduceKernel, parts: number, target: readonly string[]): number {
  const plan = planReduce(kernel);
  const points = sizeOf(sizesOf(plan, plan.kept));
  const terms = sizeOf(sizesOf(plan, plan.reduced));
  const chunk = Math.ceil(terms / parts);
  const accumulator = new Accumulator(w, kernel.combine, kernel.value.dtype);
  const deal = { perPoint: w.limits.invocations, partsFirst: true };
  return shared(w, "grid", points * parts, deal, accumulator, {
    terms: (task, first, step, lane) => {
      const kept = splitIndex(w, w.let(`${task} / ${parts}u`), sizesOf(plan, plan.kept));
      const from = w.let(`(${task} % ${parts}u) * ${chunk}u`, "from");
      const term = termsOf(w, plan, kept);
      eachTerm(w, `${from} + ${first}`, step, `min(${from} + ${chunk}u, ${terms}u)`, (k) => {
        accumulator.add(lane, [term(k), k]);
      });
    },
    finish: (task, lane) => {
      lane.forEach((name, i) => {
        w.line(`${target[i] ?? ""}[${task}] = ${accumulator.stored(name, i)};`);
      });
    },
  });
}

/** The second dispatch: combines the parts. */
export function writeWhole(w: ShaderWriter, kernel: ReduceKernel, parts: number, source: readonly string[]): number {
  const plan = planReduce(kernel);
  const points = sizeOf(sizesOf(plan, plan.kept));
  const accumulator = new Accumulator(w, kernel.combine, kernel.value.dtype);
  let perPoint = 1;
  while (perPoint < parts && perPoint < w.limits.invocations) perPoint *= 2;
  return shared(w, "grid", points, { perPoint, partsFirst: true }, accumulator, {
    terms: (point, first, step, lane) => {
      eachTerm(w, first, step, `${parts}u`, (k) => {
        accumulator.add(
          lane,
          lane.map((_, i) => w.let(accumulator.loaded(`${source[i] ?? ""}[${point} * ${parts}u + ${k}]`, i))),
        );
      });
    },
    finish: (point, lane) => {
      const kept = splitIndex(w, point, sizesOf(plan, plan.kept));
      new PointWriter(w, kept, { accumulated: accumulator.result(lane) }).storeAll(plan.stores);
    },
  });
}

/** What the parts of a point take in memory: the type of each word. */
export function partTypes({ combine, value }: ReduceKernel): readonly string[] {
  return storedTypes(combine, value.dtype);
}

/** Types of what a lane carries, as it is kept in memory: bools are words there. */
function storedTypes(combine: Combine, dtype: DType): readonly string[] {
  const type = dtype === "bool" ? "u32" : scalarType(dtype);
  return combine === "argmax" ? [type, "u32"] : [type];
}
