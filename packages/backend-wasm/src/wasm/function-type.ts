/** The types of functions: how parameters and results appear to the body, to callers and to `return_`. */
import type { Operand } from "./expression.ts";
import type { Local } from "./place.ts";
import type { ValueType, ValueTypes } from "./value-type.ts";

/** A function of a module: imported, declared or defined. */
export interface Func<P extends ValueTypes = ValueTypes, R extends ValueTypes = ValueTypes> {
  readonly kind: "function";
  readonly module: object;
  readonly index: number;
  readonly name: string;
  readonly params: P;
  readonly results: R;
}

/** Locals of the given types. */
export type Locals<T extends ValueTypes> = { readonly [K in keyof T]: Local<T[K]> };

/** Operands of the given types. */
export type Operands<T extends ValueTypes> = { readonly [K in keyof T]: Operand<T[K]> };

/** What a call gives: nothing, a local, or one local for each result. */
export type CallResult<R extends ValueTypes> = R extends readonly []
  ? undefined
  : R extends readonly [infer T extends ValueType]
    ? Local<T>
    : Locals<R>;

/** What the callback that writes a body returns: nothing, the function's result, or its results. */
export type BodyResult<R extends ValueTypes> = R extends readonly []
  ? // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- it is what a callback returns
    void
  : R extends readonly [infer T extends ValueType]
    ? Operand<T>
    : Operands<R>;

/** Holds no value; beside a `BodyResult` it makes the compiler read `[a, b]` as a pair, not as an array. */
export type TupleHint = readonly [never];
