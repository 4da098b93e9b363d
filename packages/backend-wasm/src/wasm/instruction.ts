/** From the instruction tables to functions: those that make expressions, and those that a function builder runs. */
import { WasmBuildError } from "./error.ts";
import { Expr, toExpr } from "./expression.ts";
import type { Op } from "./expression.ts";
import type { Feature } from "./features.ts";
import { encodeUnsigned } from "./leb128.ts";
import { parseSignature } from "./signature.ts";
import type { DataSegment, InstructionTable, Signature, Slot } from "./signature.ts";
import type { ValueType } from "./value-type.ts";

/** Tables that share a prefix byte and the feature they need. */
export interface InstructionSet {
  readonly prefix: number | undefined;
  readonly feature: Feature | undefined;
  /** Table by the part of the name before the dot. */
  readonly tables: { readonly [namespace: string]: InstructionTable };
}

/** An instruction of a table. */
export interface Instruction {
  readonly namespace: string;
  /** The part of the name after the dot. */
  readonly key: string;
  readonly signature: Signature;
  readonly op: Op;
}

/** The instructions of some sets, in the order of the tables. */
export function instructionsOf(sets: readonly InstructionSet[], only?: string): Instruction[] {
  const found: Instruction[] = [];
  for (const { prefix, feature, tables } of sets) {
    for (const [namespace, table] of Object.entries(tables)) {
      if (only !== undefined && namespace !== only) continue;
      for (const [text, codes] of Object.entries(table)) {
        const signature = parseSignature(text);
        const memory = namespace === "memory" || signature.slots.some(({ kind }) => kind === "access");
        for (const [key, code] of Object.entries(codes)) {
          const bytes = prefix === undefined ? [code] : [prefix, ...encodeUnsigned(code)];
          found.push({ namespace, key, signature, op: { name: `${namespace}.${key}`, code: bytes, feature, memory } });
        }
      }
    }
  }
  return found;
}

function laneNumber(value: unknown, count: number, name: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < count) return value;
  throw new WasmBuildError(`${name}: ${String(value)} is not a lane from 0 to ${count - 1}`);
}

function accessBytes(offset: number, align: number, bytes: number, exact: boolean, name: string): readonly number[] {
  const power = Math.log2(align);
  if (!Number.isInteger(power) || power < 0) {
    throw new WasmBuildError(`${name}: an alignment is a power of two in bytes, not ${align}`);
  }
  if (align > bytes || (exact && align !== bytes)) {
    throw new WasmBuildError(`${name}: the alignment is ${exact ? "" : "at most "}${bytes} bytes, not ${align}`);
  }
  // Not a spread, whose loop V8 would optimise in every instruction that this is inlined into.
  return [power].concat(encodeUnsigned(offset));
}

/** An instruction's operands and the bytes after its opcode, from the arguments of its function. */
export function assemble(
  { op, signature }: Instruction,
  args: readonly unknown[],
): { operands: Expr[]; immediates: readonly number[] } {
  const operands: Expr[] = [];
  let access: readonly number[] | undefined;
  const immediates: number[] = [];
  let next = 0;
  const { slots } = signature;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as Slot;
    switch (slot.kind) {
      case "value":
        operands.push(toExpr(args[next++], slot.type, op.name, operands.length + 1));
        break;
      case "lane":
        immediates.push(laneNumber(args[next++], slot.count, op.name));
        break;
      case "lanes": {
        const lanes = args[next++];
        if (!Array.isArray(lanes) || lanes.length !== 16) throw new WasmBuildError(`${op.name} takes 16 lane numbers`);
        for (let lane = 0; lane < 16; lane++) immediates.push(laneNumber(lanes[lane], 32, op.name));
        break;
      }
      case "access": {
        const offset = (args[next] ?? 0) as number;
        const align = (args[next + 1] ?? slot.bytes) as number;
        access = accessBytes(offset, align, slot.bytes, slot.exact, op.name);
        break;
      }
      case "data":
        immediates.push(...encodeUnsigned((args[next++] as DataSegment).index));
        break;
      case "zero":
        immediates.push(0);
        break;
      default:
        slot satisfies never;
    }
  }
  if (access === undefined) return { operands, immediates };
  return { operands, immediates: immediates.length === 0 ? access : access.concat(immediates) };
}

type Maker = (...args: never[]) => Expr;

/** What makes the expressions of one instruction; the common shapes avoid the general way, which is slower. */
function maker(instruction: Instruction, result: ValueType): Maker {
  const { op, signature } = instruction;
  const [first, second, third, more] = signature.slots;
  const value = (slot: Slot | undefined) => (slot?.kind === "value" ? slot.type : undefined);
  const [a, b, c] = [value(first), value(second), value(third)];
  if (a !== undefined && second === undefined) {
    return (x: unknown) => new Expr(result, op, [toExpr(x, a, op.name, 1)]);
  }
  if (a !== undefined && b !== undefined && third === undefined) {
    return (x: unknown, y: unknown) => new Expr(result, op, [toExpr(x, a, op.name, 1), toExpr(y, b, op.name, 2)]);
  }
  if (a !== undefined && b !== undefined && c !== undefined && more === undefined) {
    return (x: unknown, y: unknown, z: unknown) =>
      new Expr(result, op, [toExpr(x, a, op.name, 1), toExpr(y, b, op.name, 2), toExpr(z, c, op.name, 3)]);
  }
  if (a !== undefined && second?.kind === "access" && third === undefined) {
    const { bytes, exact } = second;
    return (x: unknown, offset = 0, align = bytes) =>
      new Expr(result, op, [toExpr(x, a, op.name, 1)], accessBytes(offset, align, bytes, exact, op.name));
  }
  return (...args: unknown[]) => {
    const { operands, immediates } = assemble(instruction, args);
    return new Expr(result, op, operands, immediates);
  };
}

/** Functions that make the expressions of a namespace. */
export function makers(sets: readonly InstructionSet[], namespace: string): Record<string, Maker> {
  const found = instructionsOf(sets, namespace).flatMap((instruction) => {
    const { result } = instruction.signature;
    return result === undefined ? [] : [[instruction.key, maker(instruction, result)] as const];
  });
  return Object.fromEntries(found);
}
