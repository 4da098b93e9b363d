import { describe, expect, it } from "vitest";
import { ArgumentError, DTypeError, ShapeError, TraceError } from "../../src/errors.ts";
import { bits, foldIn, key, split } from "../../src/random/key.ts";
import { normal, uniform } from "../../src/random/distributions.ts";
import { eagerly } from "../../src/random/eager.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { traceOpen } from "../../src/trace/builder.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { correlation } from "./statistics.ts";

const words = (k: HostTensor): readonly number[] => Array.from(k.data);

describe("key", () => {
  it("holds the 64 bits of a seed", () => {
    expect(words(key(7))).toEqual([0, 7]);
    expect(words(key(2 ** 32 + 5))).toEqual([1, 5]);
    expect(words(key(0x0123456789abcdefn))).toEqual([0x01234567, 0x89abcdef]);
    expect(words(key(-1))).toEqual([0xffffffff, 0xffffffff]);
    expect(key(0).type).toEqual({ dtype: "uint32", shape: [2] });
  });

  it("refuses seeds that would lose bits", () => {
    for (const seed of [0.5, Number.NaN, Infinity, 2 ** 53, 1n << 64n, -(1n << 63n) - 1n]) {
      expect(() => key(seed)).toThrow(ArgumentError);
    }
  });
});

describe("bits", () => {
  it("are reproducible, and differ between keys", () => {
    expect(words(bits(key(1), [100]))).toEqual(words(bits(key(1), [100])));
    const common = words(bits(key(1), [1000])).filter((x, i) => x === words(bits(key(2), [1000]))[i]);
    expect(common.length).toBeLessThan(2);
  });

  it("set each bit half of the time", () => {
    const data = bits(key(3), [20_000]).data;
    for (let bit = 0; bit < 32; bit++) {
      let ones = 0;
      for (const x of data) ones += (x >>> bit) & 1;
      expect(Math.abs(ones - 10_000)).toBeLessThan(4 * Math.sqrt(5000));
    }
  });

  it("are the same on the host and inside a trace", () => {
    const k = key(11);
    const { graph } = traceOpen([k.type], ([x]) => {
      const [a] = split(x!, 3);
      return [bits(x!, [4, 5]), foldIn(a!, 9), normal(x!, [7])];
    });
    const traced = evaluateGraph(graph, [k.data]);
    const host = [bits(k, [4, 5]), foldIn(split(k, 3)[0]!, 9), normal(k, [7])];
    host.forEach((tensor, i) => expect(Array.from(tensor.data)).toEqual(Array.from(traced[i]!)));
  });

  it("need a key", () => {
    expect(() => bits(array([1, 2]), [3])).toThrow(/uint32/);
    expect(() => bits(array(Uint32Array.of(1, 2, 3)), [3])).toThrow(ShapeError);
  });
});

describe("split and foldIn", () => {
  it("give keys that are distinct and independent", () => {
    const keys = split(key(4), 5);
    expect(keys).toHaveLength(5);
    const others = [key(4), ...keys, ...[0, 1, 2].map((n) => foldIn(key(4), n)), foldIn(keys[0]!, 0)];
    expect(new Set(others.map((k) => words(k).join())).size).toBe(others.length);
    const samples = others.map((k) => uniform(k, [20_000]).data);
    samples.forEach((a, i) => {
      for (const b of samples.slice(i + 1)) expect(Math.abs(correlation(a, b))).toBeLessThan(0.03);
    });
  });

  it("split makes row i of one draw key i", () => {
    expect(split(key(5), 2).map(words)).toEqual(bits(key(5), [2, 2]).toNested());
  });

  it("foldIn takes a number and an integer tensor alike", () => {
    for (const n of [0, 7, 2 ** 31 - 1]) {
      const dtype = "int32" as const;
      expect(words(foldIn(key(6), array(n, { dtype })))).toEqual(words(foldIn(key(6), n)));
    }
    expect(words(foldIn(key(-1), 1))).not.toEqual(words(foldIn(key(-1), 0)));
  });

  it("foldIn refuses tensors that are no integer scalar", () => {
    expect(() => foldIn(key(0), array(1.5))).toThrow(DTypeError);
    expect(() => foldIn(key(0), array(1.5))).toThrow(/^foldIn: .* got float32\[\]; convert it with astype\("int32"\)/);
    expect(() => foldIn(key(0), array(true))).toThrow(DTypeError);
    expect(() => foldIn(key(0), array(Int32Array.of(1, 2)))).toThrow(/^foldIn: .* got int32\[2\]/);
  });

  it("refuse bad counts", () => {
    expect(() => split(key(0), 0)).toThrow(ArgumentError);
    expect(() => split(key(0), 1.5)).toThrow(ArgumentError);
    for (const n of [-1, 2 ** 32, 0.5]) expect(() => foldIn(key(0), n)).toThrow(ArgumentError);
  });
});

describe("eagerly", () => {
  it("maps trees to trees and keeps other leaves", () => {
    const f = eagerly((p: { a: Tracer; list: readonly Tracer[] }, factor: number) => ({
      sum: p.list.reduce((total, x) => total.add(x), p.a).mul(factor),
      nothing: null,
    }));
    const one = array([1, 2]);
    const result = f({ a: one, list: [one, one] }, 10);
    expect(result.nothing).toBeNull();
    expect((result.sum as HostTensor).toNested()).toEqual([30, 60]);
  });

  it("computes with captured host tensors", () => {
    const captured = array([1, 2, 3]);
    const result = eagerly((x: Tracer) => x.add(captured).mul(captured))(array(1));
    expect((result as HostTensor).toNested()).toEqual([2, 6, 12]);
  });

  it("returns data that later evaluations do not touch", () => {
    const f = eagerly((x: Tracer) => [x, x.add(1)]);
    const x = array([1, 2]);
    const [same, more] = f(x) as readonly HostTensor[];
    f(array([8, 9]));
    expect([same!.toNested(), more!.toNested()]).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(same!.data).not.toBe(x.data);
  });

  it("refuses a tracer outside its trace", () => {
    let leaked: Tracer | undefined;
    traceOpen([{ dtype: "float32", shape: [] }], ([x]) => {
      leaked = x;
      return [x!];
    });
    expect(() => eagerly((x: Tracer) => x.add(1))(leaked!)).toThrow(TraceError);
  });
});
