/** Loops whose rows stay in registers. */
import { concatenate, key, makeGraph, random, scan, type Tracer, where, whileLoop } from "@banach/autograd";
import { optimize } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { HARDWARE, SOFTWARE, type Tuning } from "../../src/codegen/shader-writer.ts";
import { describeAgreement, type Program, settle, weights } from "./agreement.ts";
import { limitsOf, shadersOf } from "./shaders.ts";

const keep = { axes: 1, keepDims: true } as const;

/** Settles after a number of iterations that differs from row to row. */
const contract = (z: Tracer): Tracer => z.sub(z.mean(keep)).mul(0.6).add(z.square().mean(keep).mul(0.05));

/** What the predicate multiplies stays in memory, where one lane of a row changes it, and all of them read what it was. */
const countsAlong: Program = (y, a, q) => {
  type Carry = readonly [Tracer, Tracer, Tracer];
  const { carry, steps } = whileLoop(
    ([y, a, q]: Carry) => {
      const place = a.expandDims(1).mul(q).argmax(1).astype("float32");
      return y.abs().max({ axes: 1 }).add(place.mul(1e-3)).greater(0.05);
    },
    ([y, a, q]: Carry) => {
      const size = y.square().mean({ axes: 1 });
      const near = a.add(size).tanh().mul(0.1).expandDims(1);
      const count = a.mul(0.5).add(size.mul(0.3)).add(0.1);
      return [y.mul(0.6).add(near.mul(y.tanh())), count, q] as const;
    },
    [y, a, q] as const,
    { maxSteps: 12 },
  );
  return [...carry, steps.astype("float32")];
};

describeAgreement({
  "one row": [[[1, 64]], (y) => settle(y, contract, 0.2)],
  "rows that no power of two counts": [[[3, 40]], (y) => settle(y, contract, 0.2)],
  "five rows of 24": [[[5, 24]], (y) => settle(y, contract, 0.2)],
  "columns that lanes cannot share": [[[6, 9]], (y) => settle(y, contract, 0.2)],
  "long rows": [[[2, 1024]], (y) => settle(y, contract, 0.2)],
  "values that change places": [
    [
      [6, 32],
      [6, 32],
    ],
    (a, b) => {
      const { carry, steps } = whileLoop(
        ([x]: readonly [Tracer, Tracer]) => x.abs().max({ axes: 1 }).greater(0.3),
        ([x, y]) => [y.mul(0.8), x.sub(x.mean(keep))] as const,
        [a, b] as const,
        { maxSteps: 20 },
      );
      return [...carry, steps.astype("float32")];
    },
  ],
  "flags and counts": [
    [[7, 16]],
    (a) => {
      const { carry } = whileLoop(
        ([x]: readonly [Tracer, Tracer, Tracer]) => x.abs().max({ axes: 1 }).greater(0.3),
        ([x, n, seen]) => {
          const large = x.abs().greater(0.5);
          return [contract(x), n.add(large.astype("int32")), seen.or(large)] as const;
        },
        [a, a.mul(0).astype("int32"), a.greater(10)] as const,
        { maxSteps: 20 },
      );
      return carry.map((each) => each.astype("float32"));
    },
  ],
  "a loop in each step of a scan, and what it reads is replaced after it": [
    [[6, 48], [5, 6, 48], [48, 48], [48]],
    (h, xs, w, scale) => {
      const step = (y: Tracer, x: Tracer) => {
        const from = y.matmul(weights(w)).add(x);
        const [settled = y] = settle(from, (z) => contract(z.mul(scale.tanh())).add(y.mul(0.01)), 0.2);
        return [settled.add(from), settled.sum({ axes: 1 })] as const;
      };
      return scan(step, h, xs);
    },
  ],
  "two loops, of which the second goes on with what the first one found": [
    [
      [4, 32],
      [4, 32],
    ],
    (a, b) => {
      const [x = a, steps = a] = settle(a, (z) => contract(z).add(b.mul(0.01)), 0.3);
      return [...settle(x.add(b), (z) => contract(z).mul(x.tanh()), 0.1), steps];
    },
  ],
  "sums of few terms, of columns and of rows": [
    [
      [6, 4, 32],
      [6, 32],
    ],
    (u, y) =>
      settle(
        y,
        (z) => {
          const along = u.mul(z.reshape([6, 1, 32])).sum({ axes: 2 });
          const turned = u.mul(along.reshape([6, 4, 1])).sum({ axes: 1 });
          return contract(z.mul(0.5).add(turned.mul(0.01)).add(along.sum(keep).mul(0.001)));
        },
        0.2,
      ),
  ],
  "rows that are read along other rows": [
    [[8, 32]],
    (y) =>
      settle(
        y,
        (z) => {
          const turned = z
            .sliceAxis(1, 16, 32)
            .mul(z.sliceAxis(1, 0, 16))
            .sum(keep);
          return contract(z).add(turned.mul(0.01));
        },
        0.2,
      ),
  ],
  "lanes without a row, and values that products read": [
    [
      [24, 32],
      [32, 32],
      [32, 32],
    ],
    (y, a, b) =>
      settle(
        y,
        (z) => {
          const [turned, bent] = [z.mul(0.5).sub(z.mean(keep)), z.mul(0.5).add(z.mean(keep))];
          return contract(z.mul(0.5)).add(
            turned
              .matmul(weights(a))
              .mul(bent.matmul(weights(b)))
              .mul(0.05),
          );
        },
        0.2,
      ),
  ],
  "halves of rows that change places": [
    [[6, 64]],
    (y) =>
      settle(
        y,
        (z) => {
          const [left, right] = [z.sliceAxis(1, 0, 32), z.sliceAxis(1, 32, 64)];
          return concatenate([contract(right), left.mul(0.5).add(right.sum(keep).mul(0.001))], 1);
        },
        0.2,
      ),
  ],
  "carries of a scan in the loop that change places": [
    [
      [6, 32],
      [3, 6, 32],
    ],
    (y, xs) =>
      settle(
        y,
        (z) => {
          const step = ([c, d]: readonly [Tracer, Tracer], x: Tracer) =>
            [[d, c.sub(c.mean(keep)).add(x.mul(0.01))] as const, null] as const;
          const [[c, d]] = scan(step, [z.mul(0.7), z.tanh()] as const, xs);
          return contract(c.add(d.mul(0.3)));
        },
        0.2,
      ),
  ],
  "a count that a product reads while it is updated": [[[8, 64], [8], [8, 3]], countsAlong],
  "such a count, and lanes that software does not run at once": [[[4, 256], [4], [4, 3]], countsAlong],
  "lanes that choose": [
    [[4, 40]],
    (y) => settle(y, (z) => where(z.greater(z.mean(keep)), contract(z), z.mul(0.5)), 0.2),
  ],
});

describe("a fixed point of rows", () => {
  /** From its first line to its last. */
  const loopOf = (tuning: Tuning, rows: number): string => {
    const y = random.normal(key(1), [rows, 64]);
    const graph = optimize(makeGraph((y: Tracer) => settle(y, contract, 0.2), y));
    const { code } = shadersOf(graph, limitsOf(tuning)).find(({ label }) => label.startsWith("rows"))!;
    const [loop = ""] = /^ {2}for \(var n.*?^ {2}\}$/ms.exec(code) ?? [];
    expect(loop).toContain("{ break; }");
    expect(loop).toMatch(/own\d+ = /);
    return loop;
  };

  it.each([
    ["hardware", HARDWARE],
    ["software", SOFTWARE],
  ] as const)("touches no memory but to add up across columns: %s", (_, tuning) => {
    expect(loopOf(tuning, 8)).not.toMatch(/(b|near)\d+\[/);
  });

  it("of several for each workgroup leaves but their flags in memory", () => {
    const lines = loopOf(SOFTWARE, 64).split("\n");
    const touching = lines.filter((line) => /(b|near)\d+\[/.test(line));
    expect(touching.filter((line) => !/ != 0u\);|= select\(0u, 1u, /.test(line))).toEqual([]);
  });
});
