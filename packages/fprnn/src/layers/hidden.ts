/** Which of what a layer selects at each step depends on y_{t-1}, and all that does as one product with it. */
import { ArgumentError, concatenate, type Tracer } from "@banach/autograd";
import type { MixerArgument } from "../mixers/mixer.ts";
import { times } from "../mixers/projection.ts";
import { requireOneOf } from "../options.ts";

/**
 * The hidden dependence of a fixed-point layer, switchable one by one as in the ablation of arXiv 2503.10799, Table 1. What
 * is off is selected by x_t alone.
 */
export interface HiddenDependence {
  /** The decay: FP-RNN's lambda itself, of the FP-Mambas the step size dt, lambda being exp(dt A). Default false. */
  readonly lambda?: boolean;
  /** The mixer Q. Default true; false is the same as `argument: "input"`. */
  readonly q?: boolean;
  /** What the input is multiplied by: FP-RNN's b, default false; the FP-Mambas' B, default true. */
  readonly b?: boolean;
  /** What the state is read by: FP-RNN's c, the FP-Mambas' C. Default true. */
  readonly c?: boolean;
}

/** With every default filled in; Q's is in the argument of its mixer. */
export interface Dependence {
  readonly lambda: boolean;
  readonly b: boolean;
  readonly c: boolean;
  readonly argument: MixerArgument;
}

const NAMES = ["lambda", "q", "b", "c"] as const;

/** Throws ArgumentError, naming the layer, for unknown parts, for what is no boolean, and where Q is asked for twice. */
export function dependenceOf(
  layer: string,
  hidden: HiddenDependence,
  argument: MixerArgument,
  defaults: { readonly b: boolean },
): Dependence {
  for (const [name, value] of Object.entries(hidden) as [string, unknown][]) {
    requireOneOf(`${layer}: a part with hidden dependence`, name, NAMES);
    if (value !== undefined) requireOneOf(`${layer}: hidden.${name}`, value, [true, false]);
  }
  const { lambda = false, q = argument !== "input", b = defaults.b, c = true } = hidden;
  if (q && argument === "input") {
    throw new ArgumentError(
      `${layer}: hidden.q is true, but argument "input" makes Q of x alone; leave out one of the two`,
    );
  }
  return { lambda, b, c, argument: q ? argument : "input" };
}

/** Numbers per position that something is selected by: the part of x, and the matrix that y_{t-1} meets. */
export interface SelectionPart {
  /** [..., n]. */
  readonly input: Tracer;
  /** [n, D], its product with y_{t-1} added to the input; null where that is all. */
  readonly hidden: Tracer | null;
}

/** A part of so many numbers per position, and whether it depends on y_{t-1}. */
export interface SizedPart<Name extends string> {
  readonly name: Name;
  readonly size: number;
  readonly hidden: boolean;
}

/** The first of them is a mixer's projections: how many there are, and whether y_{t-1} changes them, is the mixer's business. */
export type PartLayout<Name extends string> = readonly ["mixer", ...SizedPart<Name>[]];

/** Parts side by side, those last that depend on y_{t-1}. */
export interface JoinedParts {
  /** [..., total]. */
  readonly projection: Tracer;
  /** [what depends on y_{t-1}, D], or null if nothing does. */
  readonly hidden: Tracer | null;
}

export interface Selector<Name extends string> {
  /** Asks for each part of the layout. */
  join(part: (name: Name) => SelectionPart): JoinedParts;
  /** The parts, [..., size], at y_{t-1} [..., D]: one product with y, whose result is added to the last columns. */
  at(joined: JoinedParts, previous: Tracer): (name: Name) => Tracer;
}

/** Joins parts, and takes them apart again, in the order of the layout but for those that do not depend on y_{t-1}. */
export function selector<Name extends string>([mixer, ...sized]: PartLayout<Name>): Selector<Name | "mixer"> {
  type Part = SizedPart<Name | "mixer">;
  const ordered = (own: Part): Record<"fixed" | "changing", readonly Part[]> => ({
    fixed: [own, ...sized].filter(({ hidden }) => !hidden),
    changing: [own, ...sized].filter(({ hidden }) => hidden),
  });
  const sizedAll = total(sized);
  const sizedChanging = total(sized.filter(({ hidden }) => hidden));
  return {
    join(part) {
      const { input, hidden: matrix } = part(mixer);
      const { fixed, changing } = ordered({ name: mixer, size: input.dim(-1), hidden: matrix !== null });
      const inputs = [...fixed, ...changing].map(({ name }) => part(name).input);
      const hidden = changing.flatMap(({ name }) => part(name).hidden ?? []);
      return { projection: together(inputs, -1), hidden: hidden.length === 0 ? null : together(hidden, 0) };
    },
    at({ projection, hidden }, previous) {
      const size = projection.dim(-1) - sizedAll;
      const rows = hidden === null ? 0 : hidden.dim(0);
      const { fixed, changing } = ordered({ name: mixer, size, hidden: rows > sizedChanging });
      const own = total(fixed);
      const change = hidden === null ? null : times(previous, hidden);
      const last = own === 0 ? projection : projection.sliceAxis(-1, own, projection.dim(-1));
      const parts = new Map([
        ...apart(fixed, projection),
        ...(change === null ? [] : apart(changing, last.add(change))),
      ]);
      return (name) => {
        const part = parts.get(name);
        if (part === undefined) throw new RangeError(`there is no part ${name} in this selection`);
        return part;
      };
    },
  };
}

const total = (parts: readonly SizedPart<string>[]): number => parts.reduce((sum, { size }) => sum + size, 0);

const together = (parts: readonly Tracer[], axis: number): Tracer => {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : concatenate(parts, axis);
};

/** The first columns of x, as the parts that they are of. */
function apart<Name extends string>(
  parts: readonly SizedPart<Name>[],
  x: Tracer,
): readonly (readonly [Name, Tracer])[] {
  let from = 0;
  return parts.map(({ name, size }) => {
    const to = from + size;
    const part = from === 0 && to === x.dim(-1) ? x : x.sliceAxis(-1, from, to);
    from = to;
    return [name, part] as const;
  });
}
