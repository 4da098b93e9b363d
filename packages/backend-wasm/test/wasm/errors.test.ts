/** Mistakes that the types cannot see, or that a cast let through, are found while the module is built. */
import { expect, test } from "vitest";
import type { Expr, FunctionBuilder, Label, Local } from "../../src/wasm/index.ts";
import {
  ModuleBuilder,
  WasmBuildError,
  f32,
  f32x4,
  i16x8,
  i32,
  i32x4,
  i64,
  i8x16,
  v128,
} from "../../src/wasm/index.ts";

type Builder = FunctionBuilder<readonly []>;

/** Writes a function in a module with a memory. */
function write(body: (f: Builder, m: ModuleBuilder) => void): () => void {
  return () => {
    const m = new ModuleBuilder();
    m.memory({ min: 1 });
    m.func("f", [], [], (f) => body(f, m));
    m.build();
  };
}

const i32Zero = i32.const(0);
const cases: [string, string, () => void][] = [
  [
    "an operand of another type",
    "f32.add: operand 2 has to be of type f32, and is a value of type i32",
    write(() => f32.add(1, i32Zero as never)),
  ],
  [
    "a missing operand",
    "i32.add: operand 2 has to be of type i32, and is undefined",
    write(() => (i32.add as (a: number) => Expr)(1)),
  ],
  [
    "an i64 as a number",
    "i64.add: operand 1 has to be of type i64, and is number",
    write(() => i64.add(1 as never, 1n)),
  ],
  ["a fraction as an i32", "i32.const: 0.5 is not an integer of 32 bits", write(() => i32.add(0.5, 1))],
  ["an i32 of 33 bits", "i32.const: 4294967296 is not", write(() => i32.const(2 ** 32))],
  ["an i64 of 65 bits", "i64.const: 18446744073709551616 is not", write(() => i64.const(2n ** 64n))],
  [
    "a lane constant out of range",
    "i16x8.const: 65536 is not an integer of 16 bits",
    write(() => i16x8.const(0, 0, 0, 0, 0, 0, 0, 65_536)),
  ],
  ["a wrong number of lanes", "i32x4.const takes 4 lanes, not 3", write(() => i32x4.const(1, 2, 3))],
  [
    "a lane out of range",
    "f32x4.extract_lane: 4 is not a lane from 0 to 3",
    write(() => f32x4.extract_lane(f32x4.splat(0), 4)),
  ],
  [
    "a shuffle of 15 lanes",
    "i8x16.shuffle takes 16 lane numbers",
    write(() => i8x16.shuffle(v128.load(0), v128.load(0), Array<number>(15).fill(0))),
  ],
  [
    "a shuffle out of range",
    "i8x16.shuffle: 32 is not a lane from 0 to 31",
    write(() => i8x16.shuffle(v128.load(0), v128.load(0), Array<number>(16).fill(32))),
  ],
  [
    "an alignment beyond the natural one",
    "f32.load: the alignment is at most 4 bytes, not 8",
    write(() => f32.load(0, 0, 8)),
  ],
  ["an alignment of 3", "v128.load: an alignment is a power of two in bytes, not 3", write(() => v128.load(0, 0, 3))],
  ["a negative offset", "-4 is not an unsigned 32-bit integer", write((f) => f.f32.store(0, 1, -4))],
  [
    "a label outside its block",
    "br: the label of that block is not open here",
    write((f) => {
      let label: Label | undefined;
      f.block((exit) => void (label = exit));
      f.br(label!);
    }),
  ],
  [
    "a label of another function",
    "br_if: the label of that loop is not open here",
    write((f, m) => {
      f.loop((again) => {
        m.func("g", [], [], (g) => g.brIf(again, 1));
      });
    }),
  ],
  [
    "a local after its scope",
    "local 0 is used after the end of the scope",
    write((f) => {
      let local: Local<"i32"> | undefined;
      f.scope(() => void (local = f.local("i32", 1)));
      f.set(local!, 2);
    }),
  ],
  [
    "a local of another function",
    "local 0 belongs to another function",
    write((f, m) => {
      const local = f.local("i32", 1);
      m.func("g", [], [], (g) => void g.let(local));
    }),
  ],
  ["a local read before it is set", "f: local 0 is read before it is set", write((f) => void f.let(f.local("i32")))],
  [
    "a global of another module",
    "global 0 belongs to another module",
    write((f) => void f.let(new ModuleBuilder().global("i32", 0))),
  ],
  ["a constant global that is set", "global 0 is constant", write((f, m) => f.set(m.global("i32", 0) as never, 1))],
  [
    "a function of another module",
    "function g belongs to another module",
    write((f) => f.call(new ModuleBuilder().declare("g", [], []))),
  ],
  [
    "a data segment of another module",
    "the data segment belongs to another module",
    write((f) => f.data.drop(new ModuleBuilder().passiveData(new Uint8Array(1)))),
  ],
  [
    "too few arguments",
    "call of g: 2 values are expected, and 1 given",
    write((f, m) => f.call(m.declare("g", ["i32", "i32"], []), ...([1] as unknown as [number, number]))),
  ],
  [
    "an argument of another type",
    "call of g: operand 1 has to be of type f32",
    write((f, m) => f.call(m.declare("g", ["f32"], []), i32Zero as never)),
  ],
  [
    "a missing result",
    "result of g: operand 1 has to be of type i32, and is undefined",
    write((_, m) => void m.func("g", [], ["i32"], (() => undefined) as never)),
  ],
  ["a step of 0", "forRange: step is 0", write((f) => f.range(0, 1, 0, () => undefined))],
  [
    "an unsigned loop downwards",
    "forRange: step is -1, and the order unsigned",
    write((f) => f.forRange(f.local("i32"), 9, 0, -1, () => undefined, "unsigned")),
  ],
  [
    "a shared expression that explodes",
    "keep it with f.let",
    write(() => {
      let x = f32.const(1);
      for (let i = 0; i < 30; i++) x = f32.add(x, x);
    }),
  ],
  [
    "a builder that is finished",
    "i32.const: the function g is finished",
    write((_, m) => {
      let kept: Builder | undefined;
      m.func("g", [], [], (g) => void (kept = g));
      kept!.local("i32", 1);
    }),
  ],
  [
    "too many locals",
    "at most 50000 locals",
    write((f) => {
      for (let i = 0; i <= 50_000; i++) f.local("i32");
    }),
  ],
];

test.each(cases)("%s", (_, message, mistake) => {
  expect(mistake).toThrow(WasmBuildError);
  expect(mistake).toThrow(message);
});

const modules: [string, string, (m: ModuleBuilder) => void][] = [
  ["no memory", "i32.load needs a memory, and the module has none", (m) => m.func("f", [], ["i32"], () => i32.load(0))],
  ["two memories", "the module has a memory already", (m) => [m.memory({ min: 1 }), m.memory({ min: 1 })]],
  ["a max below min", "not min 2, max 1", (m) => m.memory({ min: 2, max: 1 })],
  ["a memory beyond 4 GiB", "65536 pages", (m) => m.memory({ min: 1, max: 65_537 })],
  ["a shared memory without max", "a shared memory has a max", (m) => m.memory({ min: 1, shared: true } as never)],
  ["no body", "the function f is declared and not defined", (m) => m.declare("f", [], [])],
  [
    "two bodies",
    "the function f is defined twice",
    (m) =>
      m.define(
        m.func("f", [], [], () => undefined),
        () => undefined,
      ),
  ],
  [
    "a body for an import",
    "the function f is imported",
    (m) => m.define(m.importFunction("a", "f", [], []), () => undefined),
  ],
  [
    "an export twice",
    "the module exports f twice",
    (m) =>
      [1, 2].map(() =>
        m.export(
          "f",
          m.func("f", [], [], () => undefined),
        ),
      ),
  ],
  [
    "an export of another module",
    "the export f belongs to another module",
    (m) => m.export("f", new ModuleBuilder().declare("f", [], [])),
  ],
  [
    "an import after a function",
    "the import a.b comes after a function",
    (m) => [m.declare("f", [], []), m.importFunction("a", "b", [], [])],
  ],
  [
    "an import after a global",
    "the import a.b comes after a global",
    (m) => [m.global("i32", 0), m.importGlobal("a", "b", "i32")],
  ],
  [
    "a global that is computed",
    "the first value of a global is a constant, not i32.add",
    (m) => m.global("i32", i32.add(1, 2)),
  ],
  [
    "data beyond the memory",
    "data ends at 65537",
    (m) => {
      m.memory({ min: 1 });
      m.data(65_535, new Uint8Array(2));
    },
  ],
  ["data without a memory", "data needs a memory", (m) => m.data(0, new Uint8Array(2))],
];

test.each(modules)("a module with %s", (_, message, mistake) => {
  const build = () => {
    const m = new ModuleBuilder();
    mistake(m);
    m.build();
  };
  expect(build).toThrow(WasmBuildError);
  expect(build).toThrow(message);
});

test("a feature that is not allowed", () => {
  const m = new ModuleBuilder({
    features: { relaxedSimd: false, threads: false, multiValue: false, bulkMemory: false },
  });
  const v = f32x4.splat(0);
  expect(() => m.func("f", [], [], (f) => void f.let(f32x4.relaxed_madd(v, v, v)))).toThrow(
    "f32x4.relaxed_madd needs relaxedSimd, which is not allowed here",
  );
  expect(() => m.memory({ min: 1, max: 1, shared: true })).toThrow("a shared memory needs threads");
  expect(() => m.declare("g", [], ["i32", "i32"])).toThrow("the function g needs multiValue");
  expect(() => m.passiveData(new Uint8Array(1))).toThrow("a passive data segment needs bulkMemory");
});
