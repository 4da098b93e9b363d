/** What holds a value and can be read as an expression: locals and globals; not how they are allocated. */
import type { Expr } from "./expression.ts";
import type { ValueType } from "./value-type.ts";

/** A local's slot in its function. */
export interface LocalPlace {
  readonly kind: "local";
  /** The function builder that declared it. */
  readonly owner: object;
  readonly index: number;
  /** False once the scope that declared it has ended: the slot is then free for another local. */
  open: boolean;
  /** Whether anything written so far sets it. */
  assigned: boolean;
}

export interface GlobalPlace {
  readonly kind: "global";
  readonly module: object;
  readonly index: number;
  readonly mutable: boolean;
  readonly imported: boolean;
}

export type Place = LocalPlace | GlobalPlace;

/** A local variable of a function; as an expression it reads the variable where the expression is used. */
export interface Local<out T extends ValueType = ValueType> extends Expr<T> {
  readonly place: LocalPlace;
}

/** A global variable of a module. */
export interface Global<out T extends ValueType = ValueType, out Mutable extends boolean = boolean> extends Expr<T> {
  readonly place: GlobalPlace & { readonly mutable: Mutable };
}
