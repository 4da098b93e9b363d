import { key } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { orthogonal, type OrthogonalOptions } from "../../src/index.ts";
import { distance, identity, layOpen, type Matrix, operandsOf, times, transpose } from "./kit.ts";

const place = { channels: 5, seed: 3 };
const product = (a: Matrix, b: Matrix): Matrix => transpose(transpose(b).map((column) => times(a, column)));

describe("orthogonal", () => {
  it.each([undefined, 1, 2, 7])("is orthogonal with gain 2, of %s reflections", async (reflections) => {
    const options: OrthogonalOptions = reflections === undefined ? { gain: 2 } : { gain: 2, reflections };
    const { q, transposed } = await layOpen(orthogonal(options), place);
    expect(distance(product(q, transposed), identity(5))).toBeLessThan(1e-14);
  });

  it("is the mean of that and the identity with gain 1", async () => {
    const [one, two] = [await layOpen(orthogonal(), place), await layOpen(orthogonal({ gain: 2 }), place)];
    const mean = two.q.map((row, i) => row.map((x, j) => (x + (i === j ? 1 : 0)) / 2));
    expect(distance(one.q, mean)).toBeLessThan(1e-15);
  });

  it("depends on neither position nor input", async () => {
    const mixer = orthogonal();
    const { params } = operandsOf(mixer, place);
    const bothArguments = await Promise.all(
      (["concatenated", "input"] as const).map((argument) => layOpen(mixer, { ...place, argument })),
    );
    expect(params).toEqual({ v: expect.anything() as unknown });
    expect(distance(bothArguments[0]!.q, bothArguments[1]!.q)).toBe(0);
  });

  it("has as many directions as reflections, by default as channels", () => {
    const shape = { channels: 5, argument: 10 };
    expect(orthogonal().init(key(0), shape).v.shape).toEqual([5, 5]);
    expect(orthogonal({ reflections: 2 }).init(key(0), shape).v.shape).toEqual([2, 5]);
  });

  it.each([
    [{ reflections: 0 }, /orthogonal: reflections must be a positive integer, got 0/],
    [{ gain: 1.5 }, /orthogonal: gain must be one of 1, 2; got 1.5/],
    [{ eps: 0 }, /orthogonal: eps must be a positive number, got 0/],
  ])("refuses %o", (options, message) => {
    expect(() => orthogonal(options as never)).toThrow(message);
  });
});
