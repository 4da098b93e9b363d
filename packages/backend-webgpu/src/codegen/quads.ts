/** Quads: four neighbouring elements of a buffer that are loaded or stored at once, as one aligned vector. */
import {
  type Access,
  costOf,
  type ProgramBuffer,
  type Read,
  type Store,
  visitExpression,
} from "@banach/autograd/backend";
import { addressText, PointWriter } from "./point-writer.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** What a kernel can do by quads, if its buffers are bound as vectors. */
export interface QuadUse {
  readonly loads: Iterable<ProgramBuffer>;
  /** Buffers that the kernel stores to by whole quads alone. */
  readonly stores: ReadonlySet<ProgramBuffer>;
}

export const NO_QUADS: QuadUse = { loads: [], stores: new Set() };

export const COMPONENTS = ["x", "y", "z", "w"] as const;

const isAligned = (elements: number): boolean => elements % 4 === 0;

/** Work of a point, in additions, up to which an invocation has four: their code is written out, and has to be compiled. */
const CHEAP = 32;

/** Whether what a kernel stores may be written out four times. */
export const isCheap = (stores: readonly Store[]): boolean =>
  stores.reduce((cost, { value }) => cost + costOf(value), 0) <= CHEAP;

/** Whether four neighbours along an axis, from a multiple of 4 on, are always an aligned vector in memory. */
export function isQuad({ offset, strides, loops }: Access, axis: number): boolean {
  return (
    strides[axis] === 1 &&
    isAligned(offset) &&
    strides.every((stride, other) => other === axis || isAligned(stride)) &&
    loops.every(({ stride }) => isAligned(stride))
  );
}

/** The vector that a quad is in, as an access over quads along its axis. */
export function quadAccess({ offset, strides, loops }: Access, axis: number): Access {
  return {
    offset: offset / 4,
    strides: strides.map((stride, other) => (other === axis ? 1 : stride / 4)),
    loops: loops.map(({ counter, stride }) => ({ counter, stride: stride / 4 })),
  };
}

/** Sizes of axes that are counted in quads along the last. */
export const inQuads = (sizes: readonly number[]): readonly number[] => [
  ...sizes.slice(0, -1),
  (sizes.at(-1) ?? 1) / 4,
];

/** Buffers that the values of stores read by quads along an axis. */
export function quadReads(stores: readonly Store[], axis: number): ReadonlySet<ProgramBuffer> {
  const buffers = new Set<ProgramBuffer>();
  for (const { value } of stores) {
    visitExpression(value, (node) => {
      if (node.kind === "read" && isQuad(node.access, axis)) buffers.add(node.buffer);
    });
  }
  return buffers;
}

/** A store to one component may touch the vector round it: so what anybody stores to by elements is no vector. */
export function vectorsOf(
  kernels: readonly { readonly use: QuadUse; readonly written: readonly ProgramBuffer[] }[],
): ReadonlySet<ProgramBuffer> {
  const vectors = new Set(kernels.flatMap(({ use }) => [...use.loads, ...use.stores]));
  for (const { use, written } of kernels) {
    for (const buffer of written) if (!use.stores.has(buffer)) vectors.delete(buffer);
  }
  return vectors;
}

/**
 * Evaluates every value at the four points of a quad, then stores all of them, as vectors where they are bound so.
 * @param outer the index along each axis but the last
 * @param quad number of the quad along the last
 * @param accumulated what an epilogue finishes at each of the points
 */
export function storeQuads(
  w: ShaderWriter,
  stores: readonly Store[],
  outer: readonly string[],
  quad: string,
  accumulated: readonly string[] = [],
): void {
  const axis = outer.length;
  const names = new Map<string, string>();
  const vectorOf = (access: Access): string => addressText(w, quadAccess(access, axis), [...outer, quad]);
  const loaded = ({ buffer, access }: Read): string | undefined => {
    if (!w.isVector(buffer) || !isQuad(access, axis)) return undefined;
    const text = w.loadQuad(buffer, vectorOf(access));
    const name = names.get(text) ?? w.let(text, "q");
    names.set(text, name);
    return name;
  };
  const points = COMPONENTS.map((component, i) => {
    const sum = accumulated[i];
    const known = (read: Read): string | undefined => {
      const vector = loaded(read);
      return vector === undefined ? undefined : `${vector}.${component}`;
    };
    const column = i === 0 ? `(${quad} * 4u)` : `(${quad} * 4u + ${i}u)`;
    return new PointWriter(w, [...outer, column], { names, known, ...(sum === undefined ? {} : { accumulated: sum }) });
  });
  const values = stores.map(({ value }) => points.map((point) => point.value(value)));
  stores.forEach(({ buffer, access }, i) => {
    if (w.isVector(buffer)) w.storeQuad(buffer, vectorOf(access), values[i] ?? []);
    else
      points.forEach((point, c) => {
        w.store(buffer, point.address(access), values[i]?.[c] ?? "");
      });
  });
}
