/** The WGSL functions that kernels call: mathematics that the builtins lack, or do not do accurately enough. */
import { basic } from "./math/basic.ts";
import { conversions } from "./math/conversions.ts";
import { exponential } from "./math/exponential.ts";
import { prelude, type WgslFunction, type WgslLibrary } from "./math/library.ts";
import { logarithm } from "./math/logarithm.ts";
import { power } from "./math/power.ts";
import { threefry } from "./math/threefry.ts";
import { trigonometric } from "./math/trigonometric.ts";

export type { WgslFunction, WgslLibrary } from "./math/library.ts";

/** All functions by name. */
export const functions: WgslLibrary = Object.freeze({
  ...basic,
  ...conversions,
  ...exponential,
  ...logarithm,
  ...power,
  ...trigonometric,
  ...threefry,
});

/**
 * The text of functions and of all that they use, each once and after those, in an order that only depends on which
 * they are. It starts with the variables that `literal` refers to, also when there are no names.
 * @throws RangeError if there is no function of that name
 */
export function functionsText(names: Iterable<string>): string {
  const done = new Set<string>();
  const texts = [prelude];
  const visit = (name: string): void => {
    if (done.has(name)) return;
    done.add(name);
    const { source, uses } = functionNamed(name);
    uses.forEach(visit);
    texts.push(source);
  };
  [...names].sort().forEach(visit);
  return texts.join("");
}

function functionNamed(name: string): WgslFunction {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (found === undefined) throw new RangeError(`there is no WGSL function '${name}'`);
  return found;
}
