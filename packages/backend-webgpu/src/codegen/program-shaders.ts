/** A program as what the host encodes: dispatches in order, and the loops that run over several of them. */
import {
  type ForLoop,
  isKernel,
  type Kernel,
  type LoopCounter,
  planMemory,
  type Program,
  readBy,
  type RecurKernel,
  type ReduceKernel,
  type ScatterKernel,
  sizeOf,
  type Step,
  writtenBy,
} from "@banach/autograd/backend";
import { scalarType } from "../wgsl/operations.ts";
import { fitBindings } from "./fit-bindings.ts";
import { Layout, type LayoutOwner, type Place, storageBytes } from "./layout.ts";
import { chunksOf, type ChunkMaps, type Chunks, writeCarries, writeChunks, writeMaps, writeTogether } from "./recur.ts";
import { partsOf, partTypes, writeParts, writeWhole } from "./reduce.ts";
import { isRegion, writeRegion } from "./region.ts";
import { type Shader, type ShaderLimits, ShaderWriter } from "./shader-writer.ts";
import { linksOf, writeLinked, writeLinks } from "./scatter.ts";
import { splitContractions } from "./split-contractions.ts";
import { vectorsIn, writeKernel } from "./write-kernel.ts";

export interface HostFor {
  readonly kind: "for";
  readonly counter: LoopCounter;
  readonly length: number;
  readonly reverse: boolean;
  readonly body: readonly Action[];
}

/** The flag is tested after `test`; the host looks at it now and then. */
export interface HostWhile {
  readonly kind: "while";
  readonly test: readonly Action[];
  readonly flag: Place;
  readonly body: readonly Action[];
  readonly maxSteps: number;
  /** Iterations made, int32, of each row if the loop stops by rows. */
  readonly steps: Place;
}

/** A whole buffer to another one of the same size. */
export interface Copy {
  readonly kind: "copy";
  readonly from: Place;
  readonly to: Place;
  readonly bytes: number;
}

export type Action = { readonly kind: "dispatch"; readonly shader: Shader } | Copy | HostFor | HostWhile;

export interface ProgramShaders {
  readonly actions: readonly Action[];
  /** Bytes of each slab of the arena. */
  readonly slabs: readonly number[];
  /** Where the iterations made by each outermost while are, int32 each. */
  readonly steps: readonly Place[];
}

/** Writes the shaders of a program. Throws OutOfMemoryError, which says `what`, for a temporary that fits in no slab. */
export function writeProgram(
  given: Program,
  limits: ShaderLimits,
  slabBytes: number,
  what: LayoutOwner = { label: "program", live: 0 },
): ProgramShaders {
  const program = limits.tuning.tiles ? splitContractions(given) : given;
  // Besides inputs and outputs, a dispatch may bind every slab, and scratch memory.
  const slabs = Math.max(1, Math.ceil(planMemory(program, 256).bytes / slabBytes));
  const { program: fitted, copies } = fitBindings(program, limits.storageBuffers - slabs - 1);
  const layout = new Layout(fitted, slabBytes, what);
  const steps: Place[] = [];
  const actions = actionsOf(fitted.steps, { layout, limits, copies, outermost: (place) => steps.push(place) });
  return { actions, slabs: layout.slabs, steps };
}

interface Context {
  readonly layout: Layout;
  readonly limits: ShaderLimits;
  readonly copies: ReadonlySet<Step>;
  /** Told of the counts of each while that stands in no loop. */
  readonly outermost: ((steps: Place) => void) | null;
}

function actionsOf(steps: readonly Step[], context: Context): readonly Action[] {
  const { layout } = context;
  const inner = { ...context, outermost: null };
  return steps.flatMap((step): readonly Action[] => {
    if (context.copies.has(step)) return [copyOf(step, layout)];
    if (isKernel(step)) return kernelShaders(step, context).map((shader) => ({ kind: "dispatch", shader }));
    if (step.kind === "for") {
      const { counter, length, reverse, body } = step;
      if (length === 0) return [];
      if (isRegion(step)) {
        reportInside(step, context);
        return [{ kind: "dispatch", shader: writeRegion(step, layout, context.limits) }];
      }
      return [{ kind: "for", counter, length, reverse, body: actionsOf(body, inner) }];
    }
    const { test, body, flag, maxSteps } = step;
    const steps = layout.placeOf(step.steps);
    context.outermost?.(steps);
    const [tests, bodies] = [actionsOf(test, inner), actionsOf(body, inner)];
    return [{ kind: "while", test: tests, body: bodies, flag: layout.placeOf(flag), maxSteps, steps }];
  });
}

function copyOf(step: Step, layout: Layout): Copy {
  const [store] = step.kind === "map" ? step.stores : [];
  if (store?.value.kind !== "read") throw new RangeError("a copy stores what it reads");
  const { buffer, value } = store;
  const bytes = storageBytes(buffer.dtype, buffer.size);
  return { kind: "copy", from: layout.placeOf(value.buffer), to: layout.placeOf(buffer), bytes };
}

/** Whiles that stood in no loop before they were divided by rows. */
function reportInside({ body }: ForLoop, { layout, outermost }: Context): void {
  for (const step of body) if (step.kind === "while") outermost?.(layout.placeOf(step.steps));
}

function kernelShaders(kernel: Kernel, { layout, limits }: Context): readonly Shader[] {
  if (sizeOf(kernel.shape) === 0 || (kernel.kind === "scatter" && kernel.limit === 0)) return [];
  if (kernel.kind === "reduce") {
    const parts = partsOf(limits, kernel);
    if (parts > 1) return splitReduction(kernel, parts, layout, limits);
  }
  const links = kernel.kind === "scatter" ? linksOf(kernel) : 0;
  if (kernel.kind === "scatter" && links > 0) return linkedScatter(kernel, links, layout, limits);
  const chunks = kernel.kind === "recur" ? chunksOf(kernel, limits) : null;
  if (kernel.kind === "recur" && chunks?.together === false) return splitRecurrence(kernel, chunks, layout, limits);
  const w = new ShaderWriter(layout, limits);
  w.bind(readBy(kernel), new Set(writtenBy(kernel)), vectorsIn([kernel], "grid", limits));
  if (kernel.kind === "recur" && chunks !== null) return [w.finish("recur (lanes)", writeTogether(w, kernel, chunks))];
  return [w.finish(kernel.kind, writeKernel(w, kernel, "grid"))];
}

/** A sum over very many terms in two dispatches: parts of points, then points. */
function splitReduction(kernel: ReduceKernel, parts: number, layout: Layout, limits: ShaderLimits): readonly Shader[] {
  const value = { ...kernel, stores: [] };
  const finishing = { kind: "map", shape: kernel.shape, stores: kernel.stores } as const;
  const types = partTypes(kernel);
  return withScratch(layout, limits, types, sizeOf(kernel.shape) * parts, [
    { kernel: value, label: "reduce (parts)", write: (w, names) => writeParts(w, kernel, parts, names) },
    { kernel: finishing, label: "reduce (whole)", write: (w, names) => writeWhole(w, kernel, parts, names) },
  ]);
}

/** A recurrence over long sequences in three dispatches: maps of chunks, their composition, chunks. */
function splitRecurrence(kernel: RecurKernel, chunks: Chunks, layout: Layout, limits: ShaderLimits): readonly Shader[] {
  const rows = sizeOf(kernel.shape) / (kernel.shape[kernel.axis] ?? 1);
  const type = scalarType(kernel.a.dtype);
  const reading = { ...kernel, stores: [] };
  const nothing = { kind: "map", shape: [], stores: [] } as const;
  const maps = ([scales = "", offsets = ""]: readonly string[]): ChunkMaps => ({ scales, offsets });
  return withScratch(layout, limits, [type, type], rows * chunks.count, [
    { kernel: reading, label: "recur (maps)", write: (w, names) => writeMaps(w, kernel, chunks, maps(names)) },
    { kernel: nothing, label: "recur (carries)", write: (w, names) => writeCarries(w, kernel, chunks, maps(names)) },
    { kernel, label: "recur (chunks)", write: (w, names) => writeChunks(w, kernel, chunks, maps(names)) },
  ]);
}

/** Additions to many rows in two dispatches: links between the points of each row, then their sums. */
function linkedScatter(kernel: ScatterKernel, links: number, layout: Layout, limits: ShaderLimits): readonly Shader[] {
  const reading = { ...kernel, value: kernel.index };
  return withScratch(layout, limits, ["u32"], links, [
    { kernel: reading, label: "scatter (links)", write: (w, [name = ""]) => writeLinks(w, kernel, name) },
    { kernel, label: "scatter (sums)", write: (w, [name = ""]) => writeLinked(w, kernel, name) },
  ]);
}

/** One of several dispatches that do the work of a kernel. */
interface Phase {
  /** Reads and writes what the phase does, besides scratch memory. */
  readonly kernel: Kernel;
  readonly label: string;
  /** Given the names of the arrays in scratch memory; returns the workgroups needed. */
  readonly write: (w: ShaderWriter, names: readonly string[]) => number;
}

/** Dispatches that pass on arrays of `count` words, one for each of the types. */
function withScratch(
  layout: Layout,
  limits: ShaderLimits,
  types: readonly string[],
  count: number,
  phases: readonly Phase[],
): readonly Shader[] {
  const bytes = Math.ceil((4 * count) / 256) * 256;
  const first = layout.scratch(bytes * types.length);
  return phases.map(({ kernel, label, write }) => {
    const w = new ShaderWriter(layout, limits);
    const names = types.map((type, i) => w.bindScratch({ ...first, offset: first.offset + i * bytes, bytes }, type));
    w.bind(readBy(kernel), new Set(writtenBy(kernel)));
    return w.finish(label, write(w, names));
  });
}
