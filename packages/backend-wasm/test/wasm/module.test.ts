/** What a module consists of besides code: imports, exports, globals, data, names; and that its bytes are the same each time. */
import { expect, test } from "vitest";
import { ModuleBuilder, f32x4, f64, i32, i64, v128 } from "../../src/wasm/index.ts";
import { WebAssembly, disassemble, instantiate, memoryOf } from "./support.ts";

test("imports of functions, a memory and globals", () => {
  const m = new ModuleBuilder();
  const hypot = m.importFunction("host", "hypot", ["f64", "f64"], ["f64"]);
  const log = m.importFunction("host", "log", ["i32"], []);
  m.importMemory("host", "memory", { min: 1, max: 4, shared: true });
  const base = m.importGlobal("host", "base", "i32");
  const counter = m.importGlobal("host", "counter", "i64", { mutable: true });
  const start = m.global("i32", base);
  const run = m.func("run", ["f64"], ["f64"], (f, x) => {
    f.call(log, start);
    f.i32.store(base, 42);
    f.set(counter, i64.add(counter, 1n));
    return f.call(hypot, x, 4);
  });
  m.export("run", run);
  m.export("hypot", hypot);
  m.export("start", start);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
  const counterValue = new WebAssembly.Global({ value: "i64", mutable: true }, 5n);
  const logged: number[] = [];
  const host = { hypot: Math.hypot, log: (x: number) => logged.push(x), memory, base: 1024, counter: counterValue };
  const exports = instantiate(m.build(), { host });
  expect(exports["run"]!(3)).toBe(5);
  expect(exports["hypot"]!(5, 12)).toBe(13);
  expect(logged).toEqual([1024]);
  expect(new Int32Array(memory.buffer)[256]).toBe(42);
  expect(counterValue.value).toBe(6n);
  expect((exports["start"] as unknown as { value: number }).value).toBe(1024);
  expect(m.features).toEqual(["threads"]);
});

test("globals of every type, data and a start function", () => {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1 }));
  const a = m.global("i32", -7, { mutable: true });
  const b = m.global("i64", 2n ** 40n);
  const c = m.global("f32", 0.1);
  const d = m.global("f64", -0);
  const v = m.global("v128", f32x4.const(1, 2, 3, 4));
  m.data(16, Uint8Array.of(9, 8, 7));
  m.data(65_533, Uint8Array.of(1, 2, 3));
  m.start(
    m.func("start", [], [], (f) => {
      f.set(a, i32.mul(a, 6));
      f.v128.store(32, f32x4.add(v, v));
    }),
  );
  for (const [name, item] of Object.entries({ a, b, c, d })) m.export(name, item);
  const exports = instantiate(m.build());
  const value = (name: string) => (exports[name] as unknown as { value: unknown }).value;
  expect(["a", "b", "c", "d"].map(value)).toEqual([-42, 2n ** 40n, Math.fround(0.1), -0]);
  const memory = memoryOf(exports);
  expect([...memory.slice(15, 20)]).toEqual([0, 9, 8, 7, 0]);
  expect([...memory.slice(-3)]).toEqual([1, 2, 3]);
  expect([...new Float32Array(memory.buffer, 32, 4)]).toEqual([2, 4, 6, 8]);
});

function named(): ModuleBuilder {
  const m = new ModuleBuilder({ name: "kernels" });
  const inner = m.func("gemm 4×8", ["i32"], ["i32"], (_, n) => i32.div_u(1, n));
  m.export(
    "run",
    m.func("program", ["i32"], ["i32"], (f, n) => f.call(inner, n)),
  );
  return m;
}

test("names of functions are in stack traces", () => {
  const exports = instantiate(named().build());
  let stack = "";
  try {
    exports["run"]!(0);
  } catch (error) {
    stack = (error as Error).stack!;
  }
  expect(stack).toMatch(/gemm 4×8 \(wasm:\/\/wasm\/kernels.*\n.*program \(wasm/);
  expect(disassemble(named().build())).toContain("(module $kernels");
});

test("names can be left out, and the same calls give the same bytes", () => {
  const m = named();
  expect(m.build()).toEqual(named().build());
  expect(m.build()).toEqual(m.build());
  expect(m.build({ names: false }).length).toBeLessThan(m.build().length - 20);
});

test("function types are shared, and an empty module is one", () => {
  const m = new ModuleBuilder();
  for (let i = 0; i < 5; i++) m.func(`f${i}`, ["f64"], ["f64"], (_, x) => f64.neg(x));
  expect(disassemble(m.build()).match(/\(type /g)).toHaveLength(1 + 5);
  expect([...new ModuleBuilder().build({ names: false })]).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
});

test("the features of a module are those of its instructions", () => {
  const m = new ModuleBuilder();
  m.memory({ min: 1 });
  m.func("f", ["f32"], [], (f, x) => {
    const splat = f.let(f32x4.splat(x));
    f.v128.store(0, f32x4.relaxed_madd(splat, splat, v128.load(16)));
    f.memory.fill(0, 0, 4);
    f.i32.store(0, i32.extend8_s(i32.trunc_sat_f32_s(x)));
  });
  expect(m.features).toEqual(["bulkMemory", "relaxedSimd", "saturatingConversions", "signExtension", "simd"]);
});
