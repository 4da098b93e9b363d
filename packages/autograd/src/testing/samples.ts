/** The total table of samples. A primitive without a row does not compile; one with an empty row fails the tests. */
import { PRIMITIVES, type PrimitiveName } from "../ir/primitives.ts";
import type { Sample, SampleTable } from "./sample.ts";
import { contraction } from "./samples/contraction.ts";
import { control } from "./samples/control.ts";
import { creation } from "./samples/creation.ts";
import { elementwise } from "./samples/elementwise.ts";
import { indexing } from "./samples/indexing.ts";
import { movement } from "./samples/movement.ts";
import { recurrence } from "./samples/recurrence.ts";
import { reduction } from "./samples/reduction.ts";

export const samples: SampleTable = {
  ...elementwise,
  ...reduction,
  ...contraction,
  ...recurrence,
  ...movement,
  ...indexing,
  ...creation,
  ...control,
};

/** One sample with the primitive it belongs to. */
export type NamedSample = {
  readonly [P in PrimitiveName]: { readonly primitive: P; readonly sample: Sample<P> };
}[PrimitiveName];

/** Every sample of every primitive, in the order of the tables. */
export function allSamples(table: SampleTable = samples): readonly NamedSample[] {
  return PRIMITIVES.flatMap((primitive) => samplesOf(table, primitive));
}

function samplesOf<P extends PrimitiveName>(table: SampleTable, primitive: P): readonly NamedSample[] {
  // The pairing of primitive and sample is the table's; the compiler cannot follow it through a generic key.
  return table[primitive].map((sample) => ({ primitive, sample }) as unknown as NamedSample);
}
