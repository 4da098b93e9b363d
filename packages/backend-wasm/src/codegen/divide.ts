/** Which loop of a nest the threads share, and the part of it that each runs. */
import type { Team } from "../threads/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import type { LaneLoop, Span } from "./nest.ts";

/** An axis that is divided: elements of it, or whole vectors where it is that of the lanes. */
export interface Division {
  readonly axis: number;
  readonly units: number;
}

/** A nest as one thread runs it. */
export interface Divided {
  /** How much of each axis. */
  readonly spans: readonly (number | Span)[];
  /** How the axis of the lanes is run over. */
  readonly lanes: LaneLoop;
}

/**
 * The outermost axis that gives every thread several units, so that each runs over memory of its own; else the longest.
 * Null if there is not one unit for each. Results do not depend on it, as each is computed by one thread.
 * @param axes that may be divided: no sum runs along them
 * @param lane the one among them along which the lanes lie, if any
 */
export function divisionOf(
  team: Team,
  sizes: readonly number[],
  axes: readonly number[],
  lane: number | undefined,
): Division | null {
  if (team.size === 1) return null;
  const candidates = axes.map((axis) => {
    const size = sizes[axis] ?? 1;
    return { axis, units: axis === lane ? Math.floor(size / 4) : size };
  });
  const wide = candidates.find(({ units }) => units >= 4 * team.size);
  if (wide !== undefined) return wide;
  const longest = candidates.reduce<Division | null>((best, it) => (it.units > (best?.units ?? 0) ? it : best), null);
  return longest !== null && longest.units >= team.size ? longest : null;
}

/** This thread's part of a nest. */
export function divided(
  f: FunctionBuilder,
  team: Team,
  sizes: readonly number[],
  division: Division | null,
  lane: number | undefined,
): Divided {
  if (division === null) return { spans: sizes, lanes: {} };
  const part = team.part(f, division.units);
  if (division.axis !== lane)
    return { spans: sizes.map((size, axis) => (axis === division.axis ? part : size)), lanes: {} };
  const rest = (run: () => void): void => {
    team.onLast(f, run);
  };
  return { spans: sizes, lanes: { vectors: part, rest } };
}
