/** The backends that commands can choose, by name. A new one is a line in the table. */
import type { BackendFactory } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { UnknownNameError } from "../errors.ts";

const BACKENDS: ReadonlyMap<string, BackendFactory> = new Map([["reference", reference]]);

export const backendNames: readonly string[] = [...BACKENDS.keys()];

/** The factory of a backend. Throws UnknownNameError, which lists the names. */
export function findBackend(name: string): BackendFactory {
  const factory = BACKENDS.get(name);
  if (factory === undefined) throw new UnknownNameError("backend", name, backendNames);
  return factory;
}
