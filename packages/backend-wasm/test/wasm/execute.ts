/** Runs single instructions: operands come from memory, the result goes there. */
import type { Expr, FunctionBuilder, ValueType } from "../../src/wasm/index.ts";
import * as writer from "../../src/wasm/index.ts";
import type { Instruction } from "../../src/wasm/instruction.ts";
import { instantiate, memoryOf, moduleWithMemory } from "./support.ts";
import { decode, encode } from "./values.ts";
import type { Value } from "./values.ts";

export const operandTypes = ({ signature }: Instruction): ValueType[] =>
  signature.slots.flatMap((slot) => (slot.kind === "value" ? [slot.type] : []));

type Maker = (...args: unknown[]) => Expr;
type Store = (address: number, value: Expr) => void;

/** The function of an instruction that makes expressions. */
export const makerOf = ({ namespace, key }: Instruction): Maker =>
  (writer as unknown as Record<string, Record<string, Maker>>)[namespace]![key]!;

const resultAddress = 256;

/** A function that runs the instruction; `extra` are its lanes. A trap gives undefined. */
export function runner(
  instruction: Instruction,
  extra: readonly unknown[] = [],
): (values: readonly Value[]) => Value | undefined {
  const types = operandTypes(instruction);
  const result = instruction.signature.result!;
  const m = moduleWithMemory();
  const run = m.func("run", [], [], (f: FunctionBuilder) => {
    let next = 0;
    let nextExtra = 0;
    const args = instruction.signature.slots.map((slot) => {
      if (slot.kind !== "value") return extra[nextExtra++];
      const { load } = writer[slot.type] as unknown as { load: Maker };
      return load(16 * next++);
    });
    (f[result] as unknown as { store: Store }).store(resultAddress, makerOf(instruction)(...args));
  });
  m.export("run", run);
  const exports = instantiate(m.build());
  const memory = memoryOf(exports);
  return (values) => {
    values.forEach((value, i) => memory.set(encode(types[i]!, value), 16 * i));
    try {
      exports["run"]!();
    } catch {
      return undefined;
    }
    return decode(result, memory.subarray(resultAddress, resultAddress + 16));
  };
}

/** Every choice of one value from each list. */
export const combinations = <T>(lists: readonly (readonly T[])[]): T[][] =>
  lists.reduce<T[][]>((rows, list) => rows.flatMap((row) => list.map((value) => [...row, value])), [[]]);
