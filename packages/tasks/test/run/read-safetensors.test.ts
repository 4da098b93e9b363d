import { array, CheckpointError, type HostTensor } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_DEPTH } from "../../src/run/json.ts";
import { MAX_TENSORS, readSafetensors } from "../../src/run/read-safetensors.ts";
import { type SafeTensors, writeSafetensors } from "../../src/run/safetensors.ts";

/** A file with any header and data. */
function file(header: unknown, data: number[] | Uint8Array = [], length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const tensor = (begin: unknown, end: unknown, shape: unknown = [1], dtype: unknown = "F32"): unknown => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const four = [0, 0, 128, 63];

const contents = ({ tensors, metadata }: SafeTensors): unknown => ({
  metadata: [...metadata],
  tensors: [...tensors].map(([name, t]) => [name, t.dtype, t.shape, Array.from(t.data)]),
});

const sample: SafeTensors = {
  metadata: new Map([["made", "by a test"]]),
  tensors: new Map<string, HostTensor>([
    ["double", array([Math.PI], { dtype: "float64" })],
    ["__proto__", array([[1, 2, 3]])],
    ["int", array([-1, 2], { dtype: "int32" })],
    ["word", array([4294967295], { dtype: "uint32" })],
    ["empty", array(new Float32Array(0), { shape: [0, 3] })],
    ["scalar", array(-0)],
    ["truth", array([true, false, true])],
  ]),
};

test("what is written is read, in whatever place of a buffer the file lies", () => {
  const written = writeSafetensors(sample);
  for (let shift = 0; shift < 9; shift++) {
    const larger = new Uint8Array(written.length + 20).fill(255);
    larger.set(written, shift);
    const read = readSafetensors(larger.subarray(shift, shift + written.length));
    expect(read.tensors.size).toBe(7);
    for (const [name, wanted] of sample.tensors) {
      const found = read.tensors.get(name);
      expect([name, found?.type, found?.data]).toEqual([name, wanted.type, wanted.data]);
    }
    expect([...read.metadata]).toEqual([...sample.metadata]);
  }
});

test("a Node Buffer is read like any view", () => {
  const read = readSafetensors(Buffer.from(writeSafetensors(sample)));
  for (const [name, wanted] of sample.tensors) expect(read.tensors.get(name)?.data).toEqual(wanted.data);
});

test("any tensors are read as they were written, bit for bit", () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string({ maxLength: 8 }).filter((s) => s !== "__metadata__"),
        fc.float32Array({ maxLength: 20 }),
      ),
      (data) => {
        const tensors = new Map(Object.entries(data).map(([name, values]) => [name, array(values)]));
        const { tensors: read } = readSafetensors(writeSafetensors({ tensors, metadata: new Map() }));
        expect(read.size).toBe(tensors.size);
        for (const [name, { data: values }] of tensors) {
          const found = read.get(name)!.data;
          expect(new Uint32Array(found.slice().buffer)).toEqual(new Uint32Array(values.slice().buffer));
        }
      },
    ),
  );
});

/** One file per rule: each is refused, and the message names the rule. */
const broken: readonly (readonly [rule: string, file: Uint8Array])[] = [
  ["header length", new Uint8Array(7)],
  ["header length", file({}, [], 3n)],
  ["header length", file({}, [], 2n ** 64n - 1n)],
  ["header length", file({}, [], 100_000_001n)],
  ["header start", file(" {}")],
  ["header start", file("", [], 0n)],
  ["header start", file("\uFEFF{}")],
  ["header encoding", Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d)],
  ["header: not JSON", file("{,}")],
  ["header: not JSON", file('{"a')],
  ["header: not JSON", file("{}x")],
  ["header: JSON nests deeper", file(`{"a":${"[".repeat(MAX_DEPTH)}${"]".repeat(MAX_DEPTH)}}`)],
  ["header: duplicate key", file(`{"a":${JSON.stringify(tensor(0, 4))},"a":${JSON.stringify(tensor(0, 4))}}`, four)],
  [
    "header: duplicate key",
    file(`{"a":${JSON.stringify(tensor(0, 4))},"\\u0061" :${JSON.stringify(tensor(0, 4))}}`, four),
  ],
  ["header: duplicate key", file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four)],
  ["metadata", file({ __metadata__: [] })],
  ["metadata", file({ __metadata__: { a: 1 } })],
  ["metadata", file({ __metadata__: null })],
  ["entry", file({ a: 3 })],
  ["entry", file({ a: { ...(tensor(0, 4) as object), more: 1 } }, four)],
  ["dtype", file({ a: tensor(0, 4, [1], "F33") }, four)],
  ["dtype", file({ a: tensor(0, 4, [1], 7) }, four)],
  ["dtype", file({ a: tensor(0, 2, [1], "F16") }, [0, 0])],
  ["dtype", file({ a: tensor(0, 4, [1], "__proto__") }, four)],
  ["shape", file({ a: tensor(0, 4, [-1]) }, four)],
  ["shape", file({ a: tensor(0, 4, [1.5]) }, four)],
  ["shape", file({ a: tensor(0, 4, "1") }, four)],
  ["shape", file({ a: tensor(0, 4, [2 ** 53]) }, four)],
  ["shape", file({ a: tensor(0, 4, [2 ** 31, 2 ** 31, 2 ** 31]) }, four)],
  ["offsets", file({ a: { dtype: "F32", shape: [1], data_offsets: [0] } }, four)],
  ["offsets", file({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4, 4] } }, four)],
  ["offsets", file({ a: tensor(-4, 0) }, four)],
  ["offsets", file({ a: tensor(0, "4") }, four)],
  ["offsets", file({ a: tensor(0, 4.5) }, four)],
  ["offsets", file({ a: tensor(4, 0, [1]) }, four)],
  ["size", file({ a: tensor(0, 4, [1000, 1000]) }, four)],
  ["size", file({ a: tensor(0, 4, [0]) }, four)],
  ["bounds", file({ a: tensor(0, 8, [2]) }, four)],
  ["overlap", file({ a: tensor(0, 8, [2]), b: tensor(4, 8) }, [...four, ...four])],
  ["overlap", file({ a: tensor(0, 8, [2]), b: tensor(4, 4, [0]) }, [...four, ...four])],
  ["hole", file({ a: tensor(4, 8) }, [...four, ...four])],
  ["hole", file({ a: tensor(0, 4) }, [...four, ...four])],
  ["hole", file({ a: tensor(0, 4), b: tensor(8, 8, [0]) }, four)],
  ["hole", file({}, four)],
  ["bool", file({ a: tensor(0, 1, [1], "BOOL") }, [2])],
];

test.each(broken)("a file that breaks the rule '%s' is refused (%#)", (rule, bytes) => {
  expect(() => readSafetensors(bytes)).toThrow(CheckpointError);
  expect(() => readSafetensors(bytes)).toThrow(rule === "hole" ? /hole|bounds/ : `safetensors, ${rule}`);
});

test("too many tensors are refused", () => {
  const header = Object.fromEntries(Array.from({ length: MAX_TENSORS + 1 }, (_, i) => [i, tensor(0, 0, [0])]));
  expect(() => readSafetensors(file(header))).toThrow("tensor count");
});

test("a tensor never shows what lies outside of the view", () => {
  const secret = new TextEncoder().encode("secret");
  const inner = file({ a: tensor(0, 8, [2]) }, four);
  const larger = new Uint8Array(inner.length + secret.length);
  larger.set(inner);
  larger.set(secret, inner.length);
  expect(() => readSafetensors(larger.subarray(0, inner.length))).toThrow("bounds");
});

describe("damage", () => {
  const whole = writeSafetensors(sample);

  test("a file cut at any byte is refused", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => readSafetensors(whole.subarray(0, length)), `cut at ${length}`).toThrow(CheckpointError);
    }
  });

  test("a flipped bit is refused, or read as other values of what a file may hold", () => {
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const damaged = whole.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        contents(readSafetensors(damaged));
      } catch (error) {
        expect(error, `bit ${bit}`).toBeInstanceOf(CheckpointError);
      }
    }
  });

  test("random bytes are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, plausible) => {
        const damaged = plausible ? file(`{${String.fromCharCode(...bytes)}`, []) : bytes;
        expect(() => readSafetensors(damaged)).toThrow(CheckpointError);
      }),
      { numRuns: 500 },
    );
  });
});
