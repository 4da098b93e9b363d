/** Loads, stores, bulk operations and atomics of one thread, run. */
import { expect, test } from "vitest";
import type { Expr, FunctionBuilder } from "../../src/wasm/index.ts";
import { ModuleBuilder, f32, f64, i32, i64, v128 } from "../../src/wasm/index.ts";
import { effectSets, pureSets } from "../../src/wasm/instruction-sets.ts";
import { instructionsOf } from "../../src/wasm/instruction.ts";
import type { Instruction } from "../../src/wasm/instruction.ts";
import { makerOf } from "./execute.ts";
import type { Exports } from "./support.ts";
import { instantiate, memoryOf } from "./support.ts";
import { encode, decode } from "./values.ts";
import type { Value } from "./values.ts";

type Call = (...args: unknown[]) => Expr;
type Effects = Record<string, Record<string, Call>>;

const pattern = Uint8Array.from({ length: 64 }, (_, i) => (i * 37 + 129) & 0xff);

function run(body: (f: FunctionBuilder<readonly []>) => void, contents = pattern): Uint8Array {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1, max: 4, shared: true }));
  m.export("run", m.func("run", [], [], body));
  const exports: Exports = instantiate(m.build());
  const memory = memoryOf(exports);
  memory.set(contents);
  exports["run"]!();
  return memory;
}

/** The integer of some bytes of memory. */
const integer = (memory: Uint8Array, at: number, bytes: number, signed = false): bigint => {
  const value = memory.slice(at, at + bytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return signed ? BigInt.asIntN(8 * bytes, value) : value;
};

const loads = instructionsOf(pureSets).filter(({ signature }) => signature.slots.some(({ kind }) => kind === "access"));

/** The bytes that a load gives, from its name. */
function loaded({ key, signature }: Instruction, at: number, lane: number, old: Uint8Array): Uint8Array {
  const bytes = signature.slots.flatMap((slot) => (slot.kind === "access" ? [slot.bytes] : []))[0]!;
  const part = pattern.slice(at, at + bytes);
  const out = new Uint8Array(16);
  if (key.endsWith("splat")) return out.map((_, i) => part[i % bytes]!);
  if (key.endsWith("lane")) {
    out.set(old);
    out.set(part, lane * bytes);
    return out;
  }
  const [, width, count] = /load(\d+)x(\d+)/.exec(key) ?? [];
  const size = Number(width) / 8;
  const [from, to, n] = width === undefined ? [bytes, 16, 1] : [size, 2 * size, Number(count)];
  for (let i = 0; i < n; i++) {
    const value = integer(part, i * from, from, key.endsWith("_s"));
    for (let j = 0; j < to; j++) out[i * to + j] = Number((value >> BigInt(8 * j)) & 0xffn);
  }
  return out;
}

test.each(loads.map((instruction) => [instruction.op.name, instruction] as const))("%s", (_, instruction) => {
  const result = instruction.signature.result!;
  const lane = instruction.signature.slots.flatMap((slot) => (slot.kind === "lane" ? [slot.count - 1] : []));
  const old = lane.length > 0 ? [v128.load(40)] : [];
  for (const [address, offset, align] of [
    [3, 0, 1],
    [0, 5, 1],
    [8, 0, undefined],
  ] as const) {
    const memory = run((f) => {
      const value = makerOf(instruction)(address, ...old, ...lane, offset, align);
      (f as unknown as Effects)[result]!["store"]!(256, value);
    });
    const expected = loaded(instruction, address + offset, lane[0] ?? 0, pattern.slice(40, 56));
    expect(decode(result, memory.slice(256, 272))).toEqual(decode(result, expected));
  }
});

const values: Record<string, Value> = {
  i32: 0x8123_4567 | 0,
  i64: -0x0123_4567_89ab_cdefn,
  f32: 1.5,
  f64: -0.1,
  v128: Uint8Array.from({ length: 16 }, (_, i) => 200 + i),
};
const constants: Record<string, (f: FunctionBuilder<readonly []>) => unknown> = {
  i32: () => values["i32"],
  i64: () => values["i64"],
  f32: () => values["f32"],
  f64: () => values["f64"],
  // Written to memory before the function runs.
  v128: (f) => f.let(v128.load(512)),
};

const effects = instructionsOf(effectSets);
const stores = effects.filter(({ key }) => key.includes("store"));

test.each(stores.map((instruction) => [instruction.op.name, instruction] as const))("%s", (_, instruction) => {
  const { slots } = instruction.signature;
  const type = slots[1]?.kind === "value" ? slots[1].type : "i32";
  const bytes = slots.flatMap((slot) => (slot.kind === "access" ? [slot.bytes] : []))[0]!;
  const lane = slots.flatMap((slot) => (slot.kind === "lane" ? [slot.count - 1] : []));
  const contents = new Uint8Array(528).fill(0xee);
  contents.set(values["v128"] as Uint8Array, 512);
  const memory = run((f) => {
    (f as unknown as Effects)[instruction.namespace]![instruction.key]!(64, constants[type]!(f), ...lane, 16);
  }, contents);
  const expected = contents.slice(0, 128);
  expected.set(encode(type, values[type]!).slice((lane[0] ?? 0) * bytes, (lane[0] ?? 0) * bytes + bytes), 80);
  expect(memory.slice(0, 128)).toEqual(expected);
});

const readModifyWrite: Record<string, (old: bigint, x: bigint) => bigint> = {
  add: (old, x) => old + x,
  sub: (old, x) => old - x,
  and: (old, x) => old & x,
  or: (old, x) => old | x,
  xor: (old, x) => old ^ x,
  xchg: (_, x) => x,
};
const rmw = effects.filter(({ key }) => key.includes("rmw") || key.startsWith("atomic_load"));

test.each(rmw.map((instruction) => [instruction.op.name, instruction] as const))("%s", (_, instruction) => {
  const { namespace, key, signature } = instruction;
  const bytes = signature.slots.flatMap((slot) => (slot.kind === "access" ? [slot.bytes] : []))[0]!;
  const operation = /rmw\d*_([a-z]+)/.exec(key)?.[1];
  const operand = namespace === "i32" ? 0x77 : 0x77n;
  const old = integer(pattern, 24, bytes);
  const narrowOld = namespace === "i32" ? Number(old) | 0 : BigInt.asIntN(64, old);
  const attempt = (args: unknown[], after: bigint) => {
    const memory = run((f) => {
      const got = (f as unknown as Effects)[namespace]![key]!(8, ...args, 16);
      (f as unknown as Effects)[namespace]!["store"]!(256, got);
    });
    expect(decode(signature.result!, memory.slice(256, 272))).toBe(narrowOld);
    expect(integer(memory, 24, bytes)).toBe(BigInt.asUintN(8 * bytes, after));
    expect(integer(memory, 24 + bytes, 8)).toBe(integer(pattern, 24 + bytes, 8));
  };
  if (operation === undefined) attempt([], old);
  else if (operation !== "cmpxchg") attempt([operand], readModifyWrite[operation]!(old, 0x77n));
  else {
    attempt([narrowOld, operand], 0x77n);
    attempt([namespace === "i32" ? 1 : 1n, operand], old);
  }
});

test("copy, fill, size, grow, fence, and passive data", () => {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1, max: 3 }));
  const segment = m.passiveData(Uint8Array.of(1, 2, 3, 4, 5));
  m.data(0, pattern);
  const copy = m.func("copy", [], ["i32"], (f) => {
    f.memory.copy(100, 0, 64);
    f.memory.fill(110, 0xab, 4);
    f.memory.init(segment, 200, 1, 3);
    f.data.drop(segment);
    f.atomic.fence();
    const before = f.memory.size();
    const old = f.memory.grow(2);
    const refused = f.memory.grow(1);
    const after = f.memory.size();
    // 1, 1, -1, 3
    return i32.add(i32.add(i32.mul(before, 1000), i32.mul(old, 100)), i32.add(i32.mul(refused, 10), after));
  });
  m.export("copy", copy);
  const exports = instantiate(m.build());
  expect(exports["copy"]!()).toBe(1000 + 100 - 10 + 3);
  const memory = memoryOf(exports);
  const expected = pattern.slice();
  expected.fill(0xab, 10, 14);
  expect(memory.slice(100, 164)).toEqual(expected);
  expect([...memory.slice(199, 205)]).toEqual([0, 2, 3, 4, 0, 0]);
});

test("addresses and offsets reach 4 GiB", () => {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1 }));
  const far = m.func("far", ["i32"], ["f64"], (_, p) =>
    f64.add(f64.promote_f32(f32.load(p, 0xffff_fff0)), f64.load(p, 8)),
  );
  const wide = m.func("wide", ["i32"], ["i64"], (_, p) => i64.load(p, 0xffff_ffff, 1));
  m.export("far", far);
  m.export("wide", wide);
  const exports = instantiate(m.build());
  expect(() => exports["far"]!(0)).toThrow("out of bounds");
  expect(() => exports["wide"]!(-1)).toThrow("out of bounds");
});
