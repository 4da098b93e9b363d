/** What a contraction needs from the program around it; nothing here knows how that program is laid out. */
import type { Read } from "@banach/autograd/backend";
import type { Part, Team } from "../threads/index.ts";
import type { Expr, FunctionBuilder, ModuleBuilder } from "../wasm/index.ts";

/** The part of a contraction that a thread does. */
export interface ContractShare {
  readonly batch: Part;
  readonly m: Part;
  readonly n: Part;
}

/** Writes the loops of a contraction over a part of it. */
export type ContractBody = (f: FunctionBuilder, share: ContractShare) => void;

/** A program that is being written. */
export interface ContractHost {
  readonly module: ModuleBuilder;
  /** Of the function, for profiles. */
  readonly name: string;
  /** Who runs the kernel. */
  readonly team: Team;
  /** Whether to use `f32x4.relaxed_madd`, whose rounding may differ between machines. */
  readonly relaxed: boolean;
  /** Byte address of an operand's element at index 0 of every axis, in this run of the kernel. */
  address(f: FunctionBuilder, read: Read): Expr<"i32">;
  /** Reserves memory, aligned to 16 bytes, that only this thread in this kernel uses while it runs; gives its address in a function. */
  scratch(bytes: number): (f: FunctionBuilder) => Expr<"i32">;
  /** Finishes and stores `lanes` (1 to 4) adjacent results along the last n axis, from the point [...batch, ...m, ...n] on. */
  storeLanes(f: FunctionBuilder, point: readonly Expr<"i32">[], accumulated: Expr<"v128">, lanes: number): void;
  /** The same for one result of any dtype. */
  storeScalar(f: FunctionBuilder, point: readonly Expr<"i32">[], accumulated: Expr<"f32"> | Expr<"i32">): void;
}
