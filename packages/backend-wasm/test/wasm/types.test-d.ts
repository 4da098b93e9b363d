/** What must not compile. */
import { ModuleBuilder, f32, f32x4, f64, i32, i64, v128 } from "../../src/wasm/index.ts";

const m = new ModuleBuilder();
m.memory({ min: 1 });
// @ts-expect-error a shared memory has a max
m.memory({ min: 1, shared: true });

const vector = f32x4.splat(1);
// @ts-expect-error a scalar where a vector is wanted
f32x4.add(vector, 1);
// @ts-expect-error a float where an integer is wanted
i32.add(f32.const(1), 2);
// @ts-expect-error an i64 constant is a bigint
i64.add(i64.const(1n), 2);
// @ts-expect-error an i32 constant is a number
i32.add(1n, 2);
// @ts-expect-error an operand is missing
f64.mul(1);
// @ts-expect-error an operand too many
f64.neg(1, 2);
// @ts-expect-error no such instruction
f32x4.popcnt(vector);
// @ts-expect-error a lane is missing
f32x4.extract_lane(vector);
// @ts-expect-error an address is an i32
v128.load(i64.const(0n));

const constant = m.global("i32", 1);
const variable = m.global("i32", 1, { mutable: true });
// @ts-expect-error a global of another type
m.global("f32", i32.const(1));

const pair = m.declare("pair", ["i32", "f64"], ["f64", "i32"]);
const nothing = m.declare("nothing", [], []);

m.func("body", ["i32", "v128"], ["f32"], (f, i, x) => {
  f.set(variable, i);
  // @ts-expect-error the global is constant
  f.set(constant, i);
  // @ts-expect-error a local of another type
  f.set(i, x);
  // @ts-expect-error an expression is no variable
  f.set(i32.add(i, 1), i);
  // @ts-expect-error a store of another type
  f.f32.store(i, x);
  // @ts-expect-error an atomic access has no alignment to choose
  f.i32.atomic_load(i, 0, 4);
  // @ts-expect-error a condition is an i32
  f.if_(f32.const(1), () => undefined);
  // @ts-expect-error a local of another type
  f.local("f32", i);
  // @ts-expect-error the counter is an i32
  f.forRange(f.local("i64", 0n), 0, 1, 1, () => undefined);
  // @ts-expect-error the arguments in the wrong order
  f.call(pair, f64.const(1), i);
  // @ts-expect-error an argument is missing
  f.call(pair, i);
  const [float, integer] = f.call(pair, i, 1);
  f64.add(float, 1);
  i32.add(integer, 1);
  // @ts-expect-error the results in the wrong order
  f64.add(integer, 1);
  // @ts-expect-error the result of another type
  f.return_(i);
  // @ts-expect-error too many results
  f.return_(1, 2);
  f.return_(1);
  return f32x4.extract_lane(x, 0);
});

// @ts-expect-error the result of another type
m.func("wrong", [], ["f32"], () => i32.const(1));
// @ts-expect-error a result is missing
m.func("missing", [], ["f32"], () => undefined);
// @ts-expect-error one of two results
m.func("one", [], ["f32", "i32"], () => [1]);
m.func("two", [], ["f32", "i32"], () => [1, 2]);
// @ts-expect-error a start function has no parameters
m.start(pair);
m.start(nothing);
// @ts-expect-error an expression is nothing that can be exported
m.export("expression", i32.const(1));
m.export("variable", variable);
