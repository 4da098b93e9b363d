import { array, CheckpointError, type HostTensor } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_DEPTH } from "../../src/run/json.ts";
import { MAX_TENSORS, readSafetensors, type Rule, RULES } from "../../src/run/read-safetensors.ts";
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

const many = (): unknown =>
  Object.fromEntries(Array.from({ length: MAX_TENSORS + 1 }, (_, i) => [i, tensor(0, 0, [0])]));

/** Files for each rule: they are refused, and the message names the rule. Those of one rule break no other before it. */
const broken: Readonly<Record<Rule, readonly (() => Uint8Array)[]>> = {
  "file-too-short": [() => new Uint8Array(0), () => new Uint8Array(7)],
  "header-too-large": [() => file({}, [], 2n ** 64n - 1n), () => file({}, [], 100_000_001n)],
  "header-beyond-file": [() => file({}, [], 3n), () => file({}, [], 100_000_000n)],
  "header-start": [() => file(" {}"), () => file("", [], 0n), () => file("\uFEFF{}"), () => file("[]")],
  "header-encoding": [
    () => Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d),
    // A surrogate, which UTF-8 has none of.
    () => Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xed, 0xa0, 0x80, 0x7d),
  ],
  "header-json": [() => file("{,}"), () => file('{"a'), () => file("{}x"), () => file("{}{}")],
  "header-depth": [() => file(`{"a":${"[".repeat(MAX_DEPTH)}${"]".repeat(MAX_DEPTH)}}`), () => file("{".repeat(1e6))],
  "duplicate-key": [
    () => file(`{"a":${JSON.stringify(tensor(0, 4))},"a":${JSON.stringify(tensor(0, 4))}}`, four),
    () => file(`{"a":${JSON.stringify(tensor(0, 4))},"\\u0061" :${JSON.stringify(tensor(0, 4))}}`, four),
    () => file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
    () => file('{"__metadata__":{"a":"1","a":"1"}}'),
    () => file('{"__proto__":{},"__proto__":{}}'),
  ],
  metadata: [
    () => file({ __metadata__: [] }),
    () => file({ __metadata__: { a: 1 } }),
    () => file({ __metadata__: { a: { b: "c" } } }),
    () => file({ __metadata__: null }),
  ],
  "tensor-count": [() => file(many())],
  entry: [
    () => file({ a: 3 }),
    () => file({ a: null }),
    () => file({ a: [tensor(0, 4)] }, four),
    () => file({ a: { ...(tensor(0, 4) as object), more: 1 } }, four),
  ],
  dtype: [
    () => file({ a: tensor(0, 4, [1], "F33") }, four),
    () => file({ a: tensor(0, 4, [1], 7) }, four),
    () => file({ a: tensor(0, 4, [1], "__proto__") }, four),
    () => file({ a: { shape: [1], data_offsets: [0, 4] } }, four),
    // Asked for alone: see below.
    () => file({ a: tensor(0, 2, [1], "F16") }, [0, 0]),
    () => file({ a: tensor(0, 2, [1], "BF16") }, [0, 0]),
  ],
  shape: [
    () => file({ a: tensor(0, 4, [-1]) }, four),
    () => file({ a: tensor(0, 4, [1.5]) }, four),
    () => file({ a: tensor(0, 4, "1") }, four),
    () => file({ a: tensor(0, 4, ["1"]) }, four),
    () => file({ a: tensor(0, 4, [2 ** 53]) }, four),
    () => file('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
    () => file({ a: { dtype: "F32", data_offsets: [0, 4] } }, four),
  ],
  "shape-overflow": [
    () => file({ a: tensor(0, 4, [2 ** 31, 2 ** 31, 2 ** 31]) }, four),
    // 2^64 elements, which are none if the product wraps.
    () => file({ a: tensor(0, 0, [2 ** 32, 2 ** 32]) }),
    () => file({ a: tensor(0, 0, [2 ** 52, 2 ** 52, 0]) }),
    () => file({ a: tensor(0, 4, [2 ** 51]) }, four),
    // A product of 2^53000000, if anybody computed it.
    () => file({ a: tensor(0, 4, new Array(1_000_000).fill(2 ** 52)) }, four),
  ],
  offsets: [
    () => file({ a: { dtype: "F32", shape: [1], data_offsets: [0] } }, four),
    () => file({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4, 4] } }, four),
    () => file({ a: { dtype: "F32", shape: [1] } }, four),
    () => file({ a: tensor(-4, 0) }, four),
    () => file({ a: tensor(0, "4") }, four),
    () => file({ a: tensor(0, 4.5) }, four),
    () => file({ a: tensor(2 ** 53, 2 ** 53 + 4) }, four),
  ],
  "offset-order": [() => file({ a: tensor(4, 0, [1]) }, four)],
  size: [() => file({ a: tensor(0, 4, [1000, 1000]) }, four), () => file({ a: tensor(0, 4, [0]) }, four)],
  bounds: [() => file({ a: tensor(0, 8, [2]) }, four), () => file({ a: tensor(2 ** 40, 2 ** 40 + 4) }, four)],
  overlap: [
    () => file({ a: tensor(0, 8, [2]), b: tensor(4, 8) }, [...four, ...four]),
    () => file({ a: tensor(0, 8, [2]), b: tensor(0, 8, [2]) }, [...four, ...four]),
    () => file({ a: tensor(0, 8, [2]), b: tensor(4, 4, [0]) }, [...four, ...four]),
  ],
  hole: [
    () => file({ a: tensor(4, 8) }, [...four, ...four]),
    () => file({ a: tensor(0, 4) }, [...four, ...four]),
    () => file({ a: tensor(0, 4), b: tensor(8, 12) }, [...four, ...four, ...four]),
    () => file({}, four),
  ],
  bool: [() => file({ a: tensor(0, 1, [1], "BOOL") }, [2])],
};

describe.each(RULES)("the rule %s", (rule) => {
  test.each(broken[rule].map((make, i) => [i, make] as const))("is kept: file %i is refused by its name", (_, make) => {
    const bytes = make();
    expect(() => readSafetensors(bytes)).toThrow(CheckpointError);
    expect(() => readSafetensors(bytes)).toThrow(`safetensors: ${rule}: `);
  });
});

test("what a hostile file says is shown short, and without what a terminal would obey", () => {
  const name = `\u001B[2J\u202E${"x".repeat(100_000)}`;
  const message = ((): string => {
    try {
      readSafetensors(file({ [name]: 3 }));
      return "";
    } catch (error) {
      return String(error);
    }
  })();
  expect(message).toContain(String.raw`\u001b[2J\u202exxx`);
  expect(message).toMatch(/^[ -~]{0,400}$/);
});

describe("halves", () => {
  const bits = new Uint16Array(1 << 16).map((_, i) => i);
  const read = (format: string): Float32Array => {
    const bytes = file({ a: tensor(0, 2 * bits.length, [bits.length], format) }, new Uint8Array(bits.buffer));
    return readSafetensors(bytes, { widenHalves: true }).tensors.get("a")!.data as Float32Array;
  };

  test("every number of float16 is widened exactly", () => {
    const widened = read("F16");
    bits.forEach((half) => {
      const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
      const size =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1 + fraction / 1024) * 2 ** (exponent - 15);
      const wanted = half >> 15 === 1 ? -size : size;
      if (!Object.is(widened[half], wanted)) expect([half, widened[half]]).toEqual([half, wanted]);
    });
  });

  test("every number of bfloat16 is the upper half of what it is widened to", () => {
    const widened = read("BF16");
    expect(new Uint32Array(widened.buffer)).toEqual(new Uint32Array(bits).map((half) => half * 65536));
    expect([widened[0x3f80], widened[0xc049], widened[0x8000]]).toEqual([1, -3.140625, -0]);
  });

  test("they are read only where that was asked for", () => {
    const half = file({ a: tensor(0, 2, [1], "BF16") }, [0x80, 0x3f]);
    expect(() => readSafetensors(half)).toThrow("dtype: 'a' has 'BF16'; read are F64, F32, I32, U32, BOOL");
    expect(readSafetensors(half, { widenHalves: true }).tensors.get("a")?.toNested()).toEqual([1]);
    expect(() => readSafetensors(file({ a: tensor(0, 4, [1], "F16") }, four), { widenHalves: true })).toThrow("size");
  });
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
        // A name that begins: an object alone could be whole, and an empty file is one.
        const damaged = plausible ? file(`{"${String.fromCharCode(...bytes)}`, []) : bytes;
        expect(() => readSafetensors(damaged)).toThrow(CheckpointError);
      }),
      { numRuns: 500 },
    );
  });
});
