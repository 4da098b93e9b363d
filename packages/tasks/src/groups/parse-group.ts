/** Groups by name: `Z2`, `S3`, `A5`, and direct products of them such as `A4xZ5`. */
import { UnknownNameError } from "../errors.ts";
import { alternating, cyclic, symmetric } from "./families.ts";
import { directProduct, type Group } from "./group.ts";

/** The largest order; its table has a million entries. */
export const MAX_ORDER = 1000;

/** What names may be, for messages and help. */
export const GROUP_NAMES: readonly string[] = [
  `Z<n> with n from 2 to ${MAX_ORDER}`,
  "S3",
  "S4",
  "S5",
  "A4",
  "A5",
  `direct products of order at most ${MAX_ORDER}, such as Z2xZ3 or A4xZ5`,
];

const FACTORS: ReadonlyMap<string, () => Group> = new Map([
  ["S3", () => symmetric(3)],
  ["S4", () => symmetric(4)],
  ["S5", () => symmetric(5)],
  ["A4", () => alternating(4)],
  ["A5", () => alternating(5)],
]);

/** The group of a name. Throws UnknownNameError, which lists the valid names. */
export function parseGroup(name: string): Group {
  const factors = name.split("x").map((factor) => parseFactor(factor));
  const [first, ...rest] = factors;
  if (first === undefined || factors.includes(undefined)) throw new UnknownNameError("group", name, GROUP_NAMES);
  return rest.reduce<Group>((product, factor) => {
    if (factor === undefined || product.order * factor.order > MAX_ORDER) {
      throw new UnknownNameError("group", name, GROUP_NAMES);
    }
    return directProduct(product, factor);
  }, first);
}

function parseFactor(name: string): Group | undefined {
  const order = /^Z([1-9]\d{0,3})$/.exec(name)?.[1];
  if (order !== undefined && Number(order) >= 2 && Number(order) <= MAX_ORDER) return cyclic(Number(order));
  return FACTORS.get(name)?.();
}
