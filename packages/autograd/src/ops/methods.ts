/** Method chaining: every operation whose first operand is a tensor, installed on Tracer under the same name. */
import { Tracer } from "../trace/tracer.ts";
import * as contraction from "./contraction.ts";
import * as creation from "./creation.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import * as lifting from "./lift.ts";
import * as movement from "./movement.ts";
import * as recurrence from "./recurrence.ts";
import * as reduction from "./reduction.ts";

/** Everything whose first operand is a tensor; what takes a list or nothing at all stays a free function. */
type Operations = Omit<typeof elementwise, "where"> &
  Pick<typeof lifting, "astype" | "broadcastTo"> &
  typeof reduction &
  typeof contraction &
  typeof recurrence &
  Omit<typeof movement, "concatenate" | "stack"> &
  typeof indexing &
  Pick<typeof creation, "zerosLike" | "onesLike">;

function operations(): Operations {
  const { where: _where, ...elementwiseMethods } = elementwise;
  const { concatenate: _concatenate, stack: _stack, ...movementMethods } = movement;
  const { zerosLike, onesLike } = creation;
  const { astype, broadcastTo } = lifting;
  const lifted = { astype, broadcastTo, zerosLike, onesLike };
  return {
    ...elementwiseMethods,
    ...lifted,
    ...reduction,
    ...contraction,
    ...recurrence,
    ...movementMethods,
    ...indexing,
  };
}

/** The operations as methods: the first operand is the tensor itself. */
export type TracerMethods = {
  [K in keyof Operations]: Operations[K] extends (first: never, ...rest: infer A) => infer R
    ? (...rest: A) => R
    : never;
};

declare module "../trace/tracer.ts" {
  // The mapped type above gives Tracer its methods; an interface is the only thing that can be merged into a class.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface Tracer extends TracerMethods {}
}

let installed = false;

/**
 * Gives Tracer its methods. Whatever opens an outermost trace calls this first: a side effect of importing a module would
 * be dropped by bundlers, for the package declares that it has none.
 */
export function installMethods(): void {
  if (installed) return;
  installed = true;
  for (const [name, operation] of Object.entries(operations())) {
    Object.defineProperty(Tracer.prototype, name, {
      value(this: Tracer, ...rest: unknown[]): unknown {
        return (operation as (...args: unknown[]) => unknown)(this, ...rest);
      },
      configurable: true,
      writable: true,
    });
  }
}
