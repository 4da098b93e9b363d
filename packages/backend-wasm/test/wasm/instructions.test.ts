/** Every instruction of the tables, read back by wabt: validated, and found to be the instruction of that name. */
import { expect, test } from "vitest";
import type { FunctionBuilder } from "../../src/wasm/index.ts";
import { ModuleBuilder } from "../../src/wasm/index.ts";
import * as namespaces from "../../src/wasm/instruction-sets.ts";
import { effectSets, pureSets } from "../../src/wasm/instruction-sets.ts";
import { instructionsOf } from "../../src/wasm/instruction.ts";
import type { Instruction } from "../../src/wasm/instruction.ts";
import { operandTypes } from "./execute.ts";
import { disassemble } from "./support.ts";

type Call = (...args: unknown[]) => unknown;

/** The text format's name: dots where the table has underscores for them. */
function textName({ op, key }: Instruction): string {
  if (key === "select") return "select";
  return op.name
    .replace(".atomic_", ".atomic.")
    .replace(/\.rmw(\d*)_/, ".rmw$1.")
    .replace(/^memory\.atomic_/, "memory.atomic.");
}

/** Writes a function with the one instruction, its operands being the parameters. */
function define(m: ModuleBuilder, instruction: Instruction, name: string, segment: unknown): void {
  const { namespace, key, signature } = instruction;
  m.func(name, operandTypes(instruction), signature.result === undefined ? [] : [signature.result], (f, ...params) => {
    let next = 0;
    const args = signature.slots.flatMap((slot): unknown[] => {
      if (slot.kind === "value") return [params[next++]];
      if (slot.kind === "lane") return [slot.count - 1];
      if (slot.kind === "lanes") return [Array.from({ length: 16 }, (_, i) => 2 * i)];
      if (slot.kind === "access") return slot.exact ? [1000] : [1000, slot.bytes];
      return slot.kind === "data" ? [segment] : [];
    });
    const owners: unknown[] = [namespaces, f];
    const functions = owners.map(
      (owner) => (owner as Record<string, Record<string, Call> | undefined>)[namespace]?.[key],
    );
    return functions.find((call) => call !== undefined)!(...args) as never;
  });
}

const all = [...instructionsOf(pureSets), ...instructionsOf(effectSets)];

test.each(all.map((instruction) => [instruction.op.name, instruction] as const))("%s", (_, instruction) => {
  const m = new ModuleBuilder();
  m.memory({ min: 1, max: 1, shared: true });
  const segment = m.passiveData(new Uint8Array(4));
  define(m, instruction, "probe", segment);
  const text = disassemble(m.build());
  const lines = text.split("\n").map((line) => line.trim());
  const start = lines.findIndex((line) => line.startsWith("(func $probe"));
  const body = lines
    .slice(start + 1)
    .map((line) => line.replace(/\)+$/, ""))
    .filter((line) => line !== "" && !/^\(|^local\./.test(line));
  const written = body[0]!.split(" ");
  expect(written[0]).toBe(textName(instruction));
  if (instruction.signature.slots.some(({ kind }) => kind === "access")) expect(written).toContain("offset=1000");
  const lane = instruction.signature.slots.find((slot) => slot.kind === "lane");
  if (lane !== undefined) expect(written.at(-1)).toBe(String(lane.count - 1));
  if (instruction.op.feature !== undefined) expect(m.features).toContain(instruction.op.feature);
});

test("no name occurs twice in a namespace, and no opcode twice", () => {
  const names = all.map(({ op }) => op.name);
  expect(new Set(names).size).toBe(names.length);
  const codes = all.filter(({ key }) => key !== "select").map(({ op }) => op.code.join(" "));
  expect(new Set(codes).size).toBe(codes.length);
});

test("the tables hold the instruction set", () => {
  const count = (feature: string | undefined) => all.filter(({ op }) => op.feature === feature).length;
  expect({ simd: count("simd"), relaxed: count("relaxedSimd"), threads: count("threads") }).toEqual({
    // 236 in the specification, less v128.const, which is not in a table; and the select of vectors.
    simd: 236,
    relaxed: 20,
    threads: 67,
  });
});

const builderOnly = (f: FunctionBuilder) => [f.memory, f.data, f.atomic, f.i32, f.i64, f.f32, f.f64, f.v128];

test("a builder has the instructions with effects", () => {
  const m = new ModuleBuilder();
  m.func("f", [], [], (f) => {
    const keys = builderOnly(f).flatMap((effects) => Object.keys(effects));
    expect(keys).toHaveLength(instructionsOf(effectSets).length);
    expect(f.i32).toBe(f.i32);
  });
});
