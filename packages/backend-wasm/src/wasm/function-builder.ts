/** Writes the body of one function: statements, locals and structured control flow. */
import { ByteWriter } from "./byte-writer.ts";
import { WasmBuildError } from "./error.ts";
import { toExpr } from "./expression.ts";
import type { Expr, I32, Op, Operand } from "./expression.ts";
import type { CallResult, Func, Operands } from "./function-type.ts";
import { assemble, instructionsOf } from "./instruction.ts";
import type { Instruction } from "./instruction.ts";
import { effectSets, i32 } from "./instruction-sets.ts";
import type { EffectTables } from "./instruction-sets.ts";
import { encodeUnsigned } from "./leb128.ts";
import { LocalPool } from "./local-pool.ts";
import type { Global, Local, Place } from "./place.ts";
import type { DataSegment, Effects } from "./signature.ts";
import type { ValueType, ValueTypes } from "./value-type.ts";

/** What a branch goes to: the end of a `block` or `if_`, or the start of a `loop`. Valid inside its callback only. */
export interface Label {
  readonly kind: "block" | "loop";
}

/** What a function builder asks of its module. */
export interface FunctionHost {
  /** Identifies the module. */
  readonly module: object;
  /** Notes that an instruction is used. @throws WasmBuildError if it needs a feature that the module may not use */
  use(op: Op): void;
}

/** Engines refuse bodies that are longer. */
const maxBodyBytes = 7_654_321;

const none: readonly number[] = [];

const structural = (name: string, ...code: number[]): Op => ({ name, code, feature: undefined, memory: false });
const ops = {
  unreachable: structural("unreachable", 0x00),
  block: structural("block", 0x02, 0x40),
  loop: structural("loop", 0x03, 0x40),
  if: structural("if", 0x04, 0x40),
  else: structural("else", 0x05),
  end: structural("end", 0x0b),
  br: structural("br", 0x0c),
  brIf: structural("br_if", 0x0d),
  brTable: structural("br_table", 0x0e),
  return: structural("return", 0x0f),
  call: structural("call", 0x10),
  localSet: structural("local.set", 0x21),
  globalSet: structural("global.set", 0x24),
};

/** The instructions with effects, by namespace. */
const effectInstructions = new Map<string, Instruction[]>();
for (const instruction of instructionsOf(effectSets)) {
  const others = effectInstructions.get(instruction.namespace);
  if (others === undefined) effectInstructions.set(instruction.namespace, [instruction]);
  else others.push(instruction);
}

/**
 * The statements of a function, in the order in which they are written. Values are expressions, which a statement
 * evaluates; instructions with effects (`f.v128.store`, `f.i32.atomic_rmw_add`, `f.memory.grow`, `f.call`) run where they
 * are written and keep their result in a local.
 */
export class FunctionBuilder<R extends ValueTypes = ValueTypes> {
  readonly name: string;
  private readonly host: FunctionHost;
  private readonly results: R;
  private readonly locals: LocalPool;
  private readonly code = new ByteWriter(1024);
  private readonly labels: Label[] = [];
  private readonly used = new Set<Op>();
  private readonly bound = new Map<string, unknown>();
  private finished = false;

  constructor(host: FunctionHost, { name, params, results }: Func<ValueTypes, R>) {
    this.name = name;
    this.host = host;
    this.results = results;
    this.locals = new LocalPool(this, params);
    // The function's own label, which no callback gets: `return_` is the way out.
    this.labels.push({ kind: "block" });
  }

  /** The parameters, as locals that can be set. */
  get params(): readonly Local[] {
    return this.locals.parameters;
  }

  get i32(): Effects<EffectTables["i32"]> {
    return this.effects("i32");
  }

  get i64(): Effects<EffectTables["i64"]> {
    return this.effects("i64");
  }

  get f32(): Effects<EffectTables["f32"]> {
    return this.effects("f32");
  }

  get f64(): Effects<EffectTables["f64"]> {
    return this.effects("f64");
  }

  get v128(): Effects<EffectTables["v128"]> {
    return this.effects("v128");
  }

  get memory(): Effects<EffectTables["memory"]> {
    return this.effects("memory");
  }

  get data(): Effects<EffectTables["data"]> {
    return this.effects("data");
  }

  get atomic(): Effects<EffectTables["atomic"]> {
    return this.effects("atomic");
  }

  /**
   * Declares a local until the end of the callback it is declared in; the slot is then used again. Without a value it has
   * to be set before it is read.
   */
  local<T extends ValueType>(type: T, value?: Operand<NoInfer<T>>): Local<T> {
    const local = this.locals.declare(type);
    if (value !== undefined) this.set(local, value);
    return local;
  }

  /** Evaluates an expression here, and keeps the value in a new local. */
  let<T extends ValueType>(value: Expr<T>): Local<T> {
    this.emit(value);
    return this.keep(value.type);
  }

  /** Sets a local or a mutable global. */
  set<T extends ValueType>(target: Local<T> | Global<T, true>, value: Operand<NoInfer<T>>): void {
    const { place } = target;
    const op = place.kind === "local" ? ops.localSet : ops.globalSet;
    this.emit(toExpr(value, target.type, op.name, 1));
    if (place.kind === "local") {
      this.locals.check(place);
      place.assigned = true;
    } else {
      this.checkModule(place.module, `global ${place.index}`);
      if (!(place.mutable as boolean)) throw new WasmBuildError(`global ${place.index} is constant`);
    }
    this.write(op, target.immediates);
  }

  /** Frees the locals declared in the body, without a block. */
  scope(body: () => void): void {
    this.locals.scope(body);
  }

  /** A branch to the label goes to the end of the body. */
  block(body: (exit: Label) => void): void {
    this.nested("block", ops.block, body);
  }

  /** A branch to the label starts the body again; without one, it ends. */
  loop(body: (again: Label) => void): void {
    this.nested("loop", ops.loop, body);
  }

  /** @param condition true if not 0 */
  if_(condition: I32, body: (exit: Label) => void, otherwise?: (exit: Label) => void): void {
    this.emit(toExpr(condition, "i32", "if", 1));
    this.nested("block", ops.if, (exit) => {
      this.locals.scope(() => body(exit));
      if (otherwise === undefined) return;
      this.write(ops.else);
      otherwise(exit);
    });
  }

  /** @throws WasmBuildError if the label is not open here */
  br(label: Label): void {
    this.write(ops.br, this.depth(label, "br"));
  }

  brIf(label: Label, condition: I32): void {
    this.emit(toExpr(condition, "i32", "br_if", 1));
    this.write(ops.brIf, this.depth(label, "br_if"));
  }

  /** Branches to `labels[index]`, or to `otherwise` if there is none. */
  brTable(index: I32, labels: readonly Label[], otherwise: Label): void {
    this.emit(toExpr(index, "i32", "br_table", 1));
    const depths = [...labels, otherwise].flatMap((label) => this.depth(label, "br_table"));
    this.write(ops.brTable, [...encodeUnsigned(labels.length), ...depths]);
  }

  /** Runs the body as long as the condition, evaluated before each round, is not 0. */
  while_(condition: () => I32, body: (exit: Label) => void): void {
    this.block((exit) => {
      this.loop((again) => {
        this.brIf(exit, i32.eqz(condition()));
        body(exit);
        this.br(again);
      });
    });
  }

  /**
   * `for (i = from; i < to; i += step)`, or `i > to` if step is a negative number. `to` and `step` are evaluated once,
   * before; the body may change `i`. After the loop, `i` is the first value that was not below `to`.
   * @param step not 0; positive if it is an expression. `i + step` must not overflow while `i` is below `to`
   * @param order how `i` and `to` are compared; unsigned for addresses
   * @throws WasmBuildError if step is 0, or negative and unsigned
   */
  forRange(
    i: Local<"i32">,
    from: I32,
    to: I32,
    step: I32,
    body: (exit: Label) => void,
    order: "signed" | "unsigned" = "signed",
  ): void {
    const down = typeof step === "number" && step < 0;
    if (step === 0) throw new WasmBuildError("forRange: step is 0");
    if (down && order === "unsigned") throw new WasmBuildError(`forRange: step is ${step}, and the order unsigned`);
    const goesOn = order === "unsigned" ? i32.lt_u : down ? i32.gt_s : i32.lt_s;
    const isOver = order === "unsigned" ? i32.ge_u : down ? i32.le_s : i32.ge_s;
    this.scope(() => {
      const end = typeof to === "number" ? to : this.let(to);
      const stride = typeof step === "number" ? step : this.let(step);
      this.set(i, from);
      this.block((exit) => {
        // The test is at the bottom: one branch a round. Constant bounds need no test before the first.
        const runs = typeof from === "number" && typeof to === "number" && from >= 0 && (down ? from > to : from < to);
        if (!runs) this.brIf(exit, isOver(i, end));
        this.loop((again) => {
          body(exit);
          this.set(i, i32.add(i, stride));
          this.brIf(again, goesOn(i, end));
        });
      });
    });
  }

  /** As `forRange`, with a counter of its own, which the body is given. */
  range(from: I32, to: I32, step: I32, body: (i: Expr<"i32">, exit: Label) => void): void {
    this.scope(() => {
      const i = this.local("i32");
      this.forRange(i, from, to, step, (exit) => body(i, exit));
    });
  }

  /** Calls a function of this module; several results come as a list of locals. */
  call<P extends ValueTypes, C extends ValueTypes>(callee: Func<P, C>, ...args: Operands<P>): CallResult<C> {
    this.checkModule(callee.module, `function ${callee.name}`);
    this.emitAll(args, callee.params, `call of ${callee.name}`);
    this.write(ops.call, encodeUnsigned(callee.index));
    const results = callee.results.map((type) => this.locals.declare(type));
    for (const result of [...results].reverse()) this.store(result);
    return (callee.results.length > 1 ? results : results[0]) as CallResult<C>;
  }

  /** Leaves the function with its results. */
  return_(...values: Operands<R>): void {
    this.emitAll(values, this.results, "return");
    this.write(ops.return);
  }

  /** Traps. A function with results still has to return some from its callback. */
  unreachable(): void {
    this.write(ops.unreachable);
  }

  /**
   * Ends the function with its results and gives its code: the locals, and the instructions. Nothing can be added then.
   * @param values one for each result
   */
  finish(values: readonly unknown[]): Uint8Array<ArrayBuffer> {
    this.emitAll(values, this.results, `result of ${this.name}`);
    this.write(ops.end);
    this.finished = true;
    const out = new ByteWriter(this.code.length + 16);
    this.locals.write(out);
    out.bytes(this.code.finish());
    if (out.length > maxBodyBytes) {
      throw new WasmBuildError(`the function ${this.name} has ${out.length} bytes; engines take ${maxBodyBytes}`);
    }
    return out.finish();
  }

  private nested(kind: Label["kind"], op: Op, body: (label: Label) => void): void {
    const label: Label = { kind };
    this.write(op);
    this.labels.push(label);
    this.locals.scope(() => body(label));
    this.labels.pop();
    this.write(ops.end);
  }

  private depth(label: Label, name: string): readonly number[] {
    const position = this.labels.lastIndexOf(label);
    if (position < 0) throw new WasmBuildError(`${name}: the label of that ${label.kind} is not open here`);
    return encodeUnsigned(this.labels.length - 1 - position);
  }

  private emitAll(values: readonly unknown[], types: ValueTypes, what: string): void {
    if (values.length !== types.length) {
      throw new WasmBuildError(`${what}: ${types.length} values are expected, and ${values.length} given`);
    }
    types.forEach((type, i) => this.emit(toExpr(values[i], type, what, i + 1)));
  }

  private emit(expr: Expr): void {
    const { operands, place } = expr;
    for (let i = 0; i < operands.length; i++) this.emit(operands[i] as Expr);
    if (place !== undefined) this.checkReadable(place);
    this.write(expr.op, expr.immediates);
  }

  private checkReadable(place: Place): void {
    if (place.kind === "global") this.checkModule(place.module, `global ${place.index}`);
    else {
      this.locals.check(place);
      if (!place.assigned) throw new WasmBuildError(`${this.name}: local ${place.index} is read before it is set`);
    }
  }

  private write(op: Op, immediates: readonly number[] = none): void {
    if (this.finished) throw new WasmBuildError(`${op.name}: the function ${this.name} is finished`);
    if ((op.memory || op.feature !== undefined) && !this.used.has(op)) {
      this.host.use(op);
      this.used.add(op);
    }
    this.code.instruction(op.code, immediates);
  }

  private keep<T extends ValueType>(type: T): Local<T> {
    const local = this.locals.declare(type);
    this.store(local);
    return local;
  }

  private store(local: Local): void {
    local.place.assigned = true;
    this.write(ops.localSet, local.immediates);
  }

  private checkModule(module: object, what: string): void {
    if (module !== this.host.module) throw new WasmBuildError(`${what} belongs to another module`);
  }

  private effects<N extends keyof EffectTables>(namespace: N): Effects<EffectTables[N]> {
    const known = this.bound.get(namespace);
    if (known !== undefined) return known as Effects<EffectTables[N]>;
    const functions: Record<string, (...args: unknown[]) => Local | undefined> = {};
    for (const instruction of effectInstructions.get(namespace) ?? []) {
      const { op, signature } = instruction;
      functions[instruction.key] = (...args) => {
        const { operands, immediates } = assemble(instruction, args);
        if (signature.slots[0]?.kind === "data") this.checkModule((args[0] as DataSegment).module, "the data segment");
        for (let i = 0; i < operands.length; i++) this.emit(operands[i] as Expr);
        this.write(op, immediates);
        return signature.result === undefined ? undefined : this.keep(signature.result);
      };
    }
    const bound = functions as unknown as Effects<EffectTables[N]>;
    this.bound.set(namespace, bound);
    return bound;
  }
}
