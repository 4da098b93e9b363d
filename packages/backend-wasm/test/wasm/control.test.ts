/** Control flow, locals and calls, run. */
import { expect, test } from "vitest";
import type { Local } from "../../src/wasm/index.ts";
import { ModuleBuilder, f64, i32, i64 } from "../../src/wasm/index.ts";
import { disassemble, instantiate } from "./support.ts";

/** The count of rounds, and the last value of the counter, that `for (i = from; i < to; i += step)` gives. */
function rounds(from: number, to: number, step: number): [number, number] {
  let count = 0;
  let i = from;
  for (; step > 0 ? i < to : i > to; i += step) count++;
  return [count, i];
}

test.each([
  [0, 10, 1],
  [0, 10, 3],
  [5, 5, 1],
  [7, 3, 1],
  [-6, 6, 4],
  [9, -1, -1],
  [10, 0, -3],
  [0, 4, -1],
])("forRange from %i to %i by %i", (from, to, step) => {
  const m = new ModuleBuilder();
  // Bounds as numbers, as parameters, and a step as a parameter.
  const body = (
    bounds: (
      params: readonly Local<"i32">[],
    ) => readonly [Local<"i32"> | number, Local<"i32"> | number, Local<"i32"> | number],
  ) =>
    m.func("count", ["i32", "i32", "i32"], ["i32", "i32"], (f, ...params) => {
      const count = f.local("i32", 0);
      const i = f.local("i32");
      const [a, b, c] = bounds(params);
      f.forRange(i, a, b, c, () => f.set(count, i32.add(count, 1)));
      return [count, i];
    });
  m.export(
    "constant",
    body(() => [from, to, step]),
  );
  m.export(
    "variable",
    body(([a, b]) => [a!, b!, step]),
  );
  m.export(
    "all",
    body(([a, b, c]) => [a!, b!, c!]),
  );
  const exports = instantiate(m.build());
  const expected = rounds(from, to, step);
  expect(exports["constant"]!(from, to, step)).toEqual(expected);
  expect(exports["variable"]!(from, to, step)).toEqual(expected);
  if (step > 0) expect(exports["all"]!(from, to, step)).toEqual(expected);
});

test("forRange compares addresses unsigned, evaluates its bound once and can be left", () => {
  const m = new ModuleBuilder();
  const count = m.func("count", ["i32", "i32"], ["i32"], (f, from, to) => {
    const n = f.local("i32", 0);
    const p = f.local("i32");
    f.forRange(p, from, i32.add(to, n), 16, () => f.set(n, i32.add(n, 1)), "unsigned");
    return n;
  });
  const until = m.func("until", ["i32"], ["i32"], (f, limit) => {
    const sum = f.local("i32", 0);
    f.range(0, 1000, 1, (i, exit) => {
      f.brIf(exit, i32.ge_s(sum, limit));
      f.set(sum, i32.add(sum, i));
    });
    return sum;
  });
  m.export("count", count);
  m.export("until", until);
  const exports = instantiate(m.build());
  expect(exports["count"]!(2 ** 31 - 32, 2 ** 31 + 32)).toBe(4);
  expect(exports["until"]!(20)).toBe(21);
});

test("while, if with and without else, loop, block and br", () => {
  const m = new ModuleBuilder();
  const collatz = m.func("collatz", ["i32"], ["i32"], (f, n) => {
    const steps = f.local("i32", 0);
    f.while_(
      () => i32.ne(n, 1),
      () => {
        f.if_(
          i32.and(n, 1),
          () => f.set(n, i32.add(i32.mul(n, 3), 1)),
          () => f.set(n, i32.shr_u(n, 1)),
        );
        f.set(steps, i32.add(steps, 1));
      },
    );
    return steps;
  });
  const sign = m.func("sign", ["i32"], ["i32"], (f, n) => {
    const result = f.local("i32", 0);
    f.block((done) => {
      f.if_(i32.eqz(n), () => f.br(done));
      f.set(result, 1);
      f.if_(i32.lt_s(n, 0), () => f.return_(-1));
    });
    return result;
  });
  const root = m.func("root", ["i64"], ["i64"], (f, n) => {
    const x = f.local("i64", 0n);
    f.loop((again) => {
      f.set(x, i64.add(x, 1n));
      f.brIf(again, i64.le_u(i64.mul(x, x), n));
    });
    return i64.sub(x, 1n);
  });
  m.export("collatz", collatz);
  m.export("sign", sign);
  m.export("root", root);
  const exports = instantiate(m.build());
  expect(exports["collatz"]!(27)).toBe(111);
  expect([-5, 0, 9].map((n) => exports["sign"]!(n))).toEqual([-1, 0, 1]);
  expect(exports["root"]!(1_000_000_000_000n)).toBe(1_000_000n);
});

test("brTable chooses among labels", () => {
  const m = new ModuleBuilder();
  const choose = m.func("choose", ["i32"], ["i32"], (f, n) => {
    const result = f.local("i32", 100);
    f.block((end) => {
      f.block((one) => {
        f.block((zero) => f.brTable(n, [zero, one], end));
        f.set(result, 0);
        f.br(end);
      });
      f.set(result, 1);
    });
    return result;
  });
  m.export("choose", choose);
  const exports = instantiate(m.build());
  expect([0, 1, 2, -1].map((n) => exports["choose"]!(n))).toEqual([0, 1, 100, 100]);
});

test("calls: recursion, mutual recursion, several results, and order of effects", () => {
  const m = new ModuleBuilder();
  const even = m.declare("even", ["i32"], ["i32"]);
  const odd = m.func("odd", ["i32"], ["i32"], (f, n) => {
    f.if_(i32.eqz(n), () => f.return_(0));
    return f.call(even, i32.sub(n, 1));
  });
  m.define(even, (f, n) => {
    f.if_(i32.eqz(n), () => f.return_(1));
    return f.call(odd, i32.sub(n, 1));
  });
  const divide = m.func("divide", ["i32", "i32"], ["i32", "i32"], (_, a, b) => [i32.div_s(a, b), i32.rem_s(a, b)]);
  const digits = m.func("digits", ["i32"], ["i32"], (f, n) => {
    const [tens, ones] = f.call(divide, n, 10);
    return i32.add(i32.mul(ones, 10), tens);
  });
  const counter = m.global("i32", 0, { mutable: true });
  const next = m.func("next", [], ["i32"], (f) => {
    f.set(counter, i32.add(counter, 1));
    return counter;
  });
  // The calls run in the order in which they are written, each once, though their results are used thrice.
  const order = m.func("order", [], ["i32"], (f) => {
    const first = f.call(next);
    const second = f.call(next);
    return i32.sub(i32.mul(second, 100), i32.add(first, i32.mul(first, first)));
  });
  for (const func of [even, digits, order]) m.export(func.name, func);
  const exports = instantiate(m.build());
  expect([0, 7, 10].map((n) => exports["even"]!(n))).toEqual([1, 0, 1]);
  expect(exports["digits"]!(37)).toBe(73);
  expect(exports["order"]!()).toBe(198);
});

test("expressions are evaluated where they are used, let at once", () => {
  const m = new ModuleBuilder();
  const f = m.func("f", ["f64"], ["f64"], (f, x) => {
    const later = f64.mul(x, x);
    const now = f.let(later);
    f.set(x, f64.add(x, 1));
    return f64.sub(later, now);
  });
  m.export("f", f);
  expect(instantiate(m.build())["f"]!(3)).toBe(7);
});

test("locals of ended scopes are used again", () => {
  const m = new ModuleBuilder();
  m.func("f", ["i32"], ["i32"], (f, x) => {
    const sum = f.local("i32", 0);
    for (let i = 0; i < 10; i++) {
      f.scope(() => {
        const square = f.let(i32.mul(x, x));
        const wide = f.let(i64.extend_i32_s(square));
        f.set(sum, i32.add(sum, i32.wrap_i64(wide)));
      });
    }
    return sum;
  });
  expect(disassemble(m.build())).toContain("(local i32 i32 i64)");
});
