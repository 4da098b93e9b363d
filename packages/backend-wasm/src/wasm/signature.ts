/** The signatures of the instruction tables ("v128 lane4 f32 -> v128"), as types and as what an encoder needs. */
import type { Expr, Operand } from "./expression.ts";
import type { Local } from "./place.ts";
import { isValueType } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

/** A passive data segment of a module. */
export interface DataSegment {
  readonly kind: "data";
  readonly module: object;
  readonly index: number;
}

type Words<S extends string> = S extends `${infer Head} ${infer Tail}` ? [Head, ...Words<Tail>] : [S];

type Argument<Word> = Word extends ValueType
  ? Operand<Word>
  : Word extends "lanes"
    ? readonly number[]
    : Word extends "data"
      ? DataSegment
      : Word extends `lane${number}`
        ? number
        : never;

type Arguments<Signature> = Signature extends [infer Head, ...infer Tail]
  ? Head extends "void" | "zero"
    ? Arguments<Tail>
    : Head extends `mem${number}`
      ? [offset?: number, align?: number]
      : Head extends `atomic${number}`
        ? [offset?: number]
        : [Argument<Head>, ...Arguments<Tail>]
  : [];

/** The arguments of an instruction, from its signature. */
export type ArgumentsOf<Signature> = Signature extends `${infer Left} -> ${string}` ? Arguments<Words<Left>> : never;

type ResultOf<Signature> = Signature extends `${string} -> ${infer Right}` ? Right : never;

/** A table of instructions: signature -> name -> opcode. */
export interface InstructionTable {
  readonly [signature: string]: { readonly [name: string]: number };
}

type Names<Table> = { [S in keyof Table]: keyof Table[S] }[keyof Table];
type SignatureOf<Table, Name> = { [S in keyof Table]: Name extends keyof Table[S] ? S : never }[keyof Table];
type ExprOf<Result> = Result extends ValueType ? Expr<Result> : never;
type OutcomeOf<Result> = Result extends ValueType ? Local<Result> : undefined;

/** A table's instructions as functions that make expressions. */
export type Instructions<Table> = {
  readonly [N in Names<Table>]: (
    ...args: ArgumentsOf<SignatureOf<Table, N>>
  ) => ExprOf<ResultOf<SignatureOf<Table, N>>>;
};

/** A table's instructions as functions that run where they are written; a result is kept in a local. */
export type Effects<Table> = {
  readonly [N in Names<Table>]: (
    ...args: ArgumentsOf<SignatureOf<Table, N>>
  ) => OutcomeOf<ResultOf<SignatureOf<Table, N>>>;
};

/** One word on the left of a signature. */
export type Slot =
  | { readonly kind: "value"; readonly type: ValueType }
  /** A lane number below `count`. */
  | { readonly kind: "lane"; readonly count: number }
  | { readonly kind: "lanes" }
  /** An access of `bytes` bytes; `exact`: it has to be aligned so. */
  | { readonly kind: "access"; readonly bytes: number; readonly exact: boolean }
  | { readonly kind: "data" }
  | { readonly kind: "zero" };

export interface Signature {
  readonly slots: readonly Slot[];
  readonly result: ValueType | undefined;
}

function slotOf(word: string): Slot {
  if (isValueType(word)) return { kind: "value", type: word };
  if (word === "lanes" || word === "data" || word === "zero") return { kind: word };
  const [, name, digits] = /^(lane|mem|atomic)(\d+)$/.exec(word) ?? [];
  if (name === undefined) throw new TypeError(`a signature has the unknown word ${word}`);
  if (name === "lane") return { kind: "lane", count: Number(digits) };
  return { kind: "access", bytes: Number(digits), exact: name === "atomic" };
}

/** @throws TypeError on a word that no signature has */
export function parseSignature(text: string): Signature {
  const [left = "", right = ""] = text.split(" -> ");
  const slots = left === "void" ? [] : left.split(" ").map(slotOf);
  if (right === "void") return { slots, result: undefined };
  if (!isValueType(right)) throw new TypeError(`a signature has the unknown result ${right}`);
  return { slots, result: right };
}
