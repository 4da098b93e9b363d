/** Every vector instruction without effects, run on edge values and compared with JavaScript lane by lane. */
import { expect, test } from "vitest";
import { f32x4, i32, i32x4, i64x2, i8x16, probeFeatures, shuffle32x4, v128 } from "../../src/wasm/index.ts";
import { pureSets } from "../../src/wasm/instruction-sets.ts";
import { instructionsOf } from "../../src/wasm/instruction.ts";
import type { Instruction } from "../../src/wasm/instruction.ts";
import { combinations, operandTypes, runner } from "./execute.ts";
import { relaxedModels, simdModels } from "./model-simd.ts";
import type { Model } from "./model-simd.ts";
import { instantiate, memoryOf, moduleWithMemory } from "./support.ts";
import { bytesOf, f32Edges, f64Edges, i32Edges, i64Edges, vectorEdges } from "./values.ts";
import type { Value } from "./values.ts";

const scalarEdges: Record<string, readonly Value[]> = { i32: i32Edges, i64: i64Edges, f32: f32Edges, f64: f64Edges };

const vectorInstructions = instructionsOf(pureSets).filter(
  ({ namespace, signature }) => !(namespace in scalarEdges) && signature.slots.every(({ kind }) => kind !== "access"),
);
const plain = vectorInstructions.filter(({ op }) => op.feature === "simd");
const relaxed = vectorInstructions.filter(({ op }) => op.feature === "relaxedSimd");

/** The lanes that a conversion reads, from its name; else those of its namespace. */
const operandShape = ({ key, namespace }: Instruction): string =>
  /[if]\d+x\d+/.exec(key)?.[0] ?? (namespace === "v128" ? "i8x16" : namespace);

/** NaNs of any payload are equal: the engine may choose it. */
function comparable({ namespace, key, signature }: Instruction, value: Value | undefined): unknown {
  const floats = namespace.startsWith("f") && signature.result === "v128" && !/^(eq|ne|lt|gt|le|ge)$/.test(key);
  if (!(value instanceof Uint8Array)) return value;
  if (!floats) return [...value];
  return [...(namespace === "f32x4" ? new Float32Array(value.slice().buffer) : new Float64Array(value.slice().buffer))];
}

/** The lists of lane arguments to try. */
function laneChoices({ signature }: Instruction): unknown[][] {
  const slot = signature.slots.find(({ kind }) => kind === "lane" || kind === "lanes");
  if (slot === undefined) return [[]];
  if (slot.kind === "lane") return Array.from({ length: slot.count }, (_, i) => [i]);
  return [[Array.from({ length: 16 }, (_, i) => (7 * i + 3) % 32)], [Array.from({ length: 16 }, (_, i) => 31 - i)]];
}

/** The model's arguments: operands and lanes, in the order of the signature. */
function modelArguments({ signature }: Instruction, values: readonly Value[], extra: readonly unknown[]): unknown[] {
  let [next, nextExtra] = [0, 0];
  return signature.slots.map((slot) => (slot.kind === "value" ? values[next++] : extra[nextExtra++]));
}

function check(instruction: Instruction, model: Model, vectors: readonly Value[]): void {
  const lists = operandTypes(instruction).map((type) => (type === "v128" ? vectors : scalarEdges[type]!));
  for (const extra of laneChoices(instruction)) {
    const run = runner(instruction, extra);
    for (const values of combinations(lists)) {
      const actual = comparable(instruction, run(values));
      const expected = comparable(instruction, model(...(modelArguments(instruction, values, extra) as never[])));
      // Deep equality for every case would take seconds.
      if (JSON.stringify(actual, bigintText) !== JSON.stringify(expected, bigintText)) {
        expect({ values, extra, result: actual }).toEqual({ values, extra, result: expected });
      }
    }
  }
}

const bigintText = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "number" ? (Object.is(value, -0) ? "-0" : String(value)) : value;
};

test.each(plain.map((instruction) => [instruction.op.name, instruction] as const))("%s", (name, instruction) => {
  const model = simdModels[name]!;
  expect(model).toBeDefined();
  const vectors = vectorEdges(operandShape(instruction));
  check(instruction, model, operandTypes(instruction).length > 2 ? vectors.slice(0, 6) : vectors);
});

/** Operands in the range where the relaxed instructions have one result: small numbers, whole masks. */
function tameVectors({ key, namespace }: Instruction): Uint8Array[] {
  const shape = operandShape({ key, namespace } as Instruction);
  if (key.startsWith("relaxed_laneselect")) return [new Uint8Array(16), new Uint8Array(16).fill(255)];
  if (shape === "f32x4") return [bytesOf(Float32Array.of(1, -2, 3.5, 40)), bytesOf(Float32Array.of(7, 5, 0.5, 3))];
  if (shape === "f64x2") return [bytesOf(Float64Array.of(1, -2)), bytesOf(Float64Array.of(7, 0.5))];
  return [Uint8Array.from({ length: 16 }, (_, i) => i % 16), Uint8Array.from({ length: 16 }, (_, i) => (5 * i) % 16)];
}

/** The baseline compiler of V8 11 (Node 20, behind a flag) loses the addend of this one. */
const broken = process.versions.v8.startsWith("11.") ? ["i32x4.relaxed_dot_i8x16_i7x16_add_s"] : [];
const offered = probeFeatures().relaxedSimd
  ? relaxed.map(({ op }) => op.name).filter((name) => !broken.includes(name))
  : [];

test.each(relaxed.map((instruction) => [instruction.op.name, instruction] as const))("%s", (name, instruction) => {
  const model = relaxedModels[name]!;
  expect(model).toBeDefined();
  const vectors = tameVectors(instruction);
  // Negative numbers have one unsigned result only where the conversion saturates.
  const inRange = name.includes("_u") ? vectors.slice(1) : vectors;
  if (offered.includes(name)) check(instruction, model, inRange);
});

test("constants of every shape, and a shuffle of four lanes", () => {
  const m = moduleWithMemory();
  const store = m.func("store", [], [], (f) => {
    f.v128.store(0, f32x4.const(1, -0, NaN, 0.1));
    f.v128.store(16, i32x4.const(1, -1, 0xffff_ffff, -(2 ** 31)));
    f.v128.store(32, i64x2.const(-2n, 2n ** 64n - 1n));
    f.v128.store(48, i8x16.const(...Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? i : -i))));
    f.v128.store(64, shuffle32x4(v128.load(0), v128.load(16), [3, 4, 0, 7]));
    f.i32.store(80, i32.sub(i32x4.extract_lane(v128.load(16), 1), 1));
  });
  m.export("store", store);
  const exports = instantiate(m.build());
  exports["store"]!();
  const bytes = memoryOf(exports);
  expect(new Float32Array(bytes.buffer, 0, 4)).toEqual(Float32Array.of(1, -0, NaN, 0.1));
  expect(new Int32Array(bytes.buffer, 16, 4)).toEqual(Int32Array.of(1, -1, -1, -(2 ** 31)));
  expect(new BigInt64Array(bytes.buffer, 32, 2)).toEqual(BigInt64Array.of(-2n, -1n));
  expect(new Int8Array(bytes.buffer, 48, 4)).toEqual(Int8Array.of(0, -1, 2, -3));
  expect(new Float32Array(bytes.buffer, 64, 3)).toEqual(
    Float32Array.of(0.1, new Float32Array(Int32Array.of(1).buffer)[0]!, 1),
  );
  expect(new Int32Array(bytes.buffer, 80, 1)[0]).toBe(-2);
});
