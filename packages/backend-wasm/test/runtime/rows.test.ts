import { array, concatenate, grad, key, random, scan, stopGradient, type Tracer, whileLoop } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { expect, it } from "vitest";
import { wasm } from "../../src/index.ts";

/** A recurrence whose step iterates, each row for itself: the shape of a sequential fixed-point layer. */
function iterated(w: Tracer, xs: Tracer): Tracer {
  const step = (h: Tracer, x: Tracer): readonly [Tracer, { y: Tracer; steps: Tracer }] => {
    const drive = stopGradient(h.matmul(w).add(x));
    const { carry, steps } = whileLoop(
      ({ change }: { y: Tracer; change: Tracer }) => change.greater(1e-3),
      ({ y }) => {
        const next = y.mul(0.5).add(drive).tanh();
        return { y: next, change: next.sub(y).abs().max({ axes: 1 }) };
      },
      { y: x.zerosLike(), change: x.sum({ axes: 1 }).mul(0).add(1) },
      { maxSteps: 30 },
    );
    const y = h.matmul(w).add(x).add(stopGradient(carry.y).mul(0.5)).tanh();
    return [y, { y, steps }];
  };
  const [, { y, steps }] = scan(step, xs.index(0, 0).mul(0), xs);
  return y.sum({ axes: [0] }).add(steps.sum({ axes: 0 }).astype("float32").mul(1e-3).expandDims(1));
}

it.each([16, 20, 32, 48, 33])("a loop over %i rows gives the reference's values, steps and gradients", async (rows) => {
  const [a, b] = random.split(key(rows), 2);
  const w = random.normal(a!, [8, 8], { stddev: 0.3 });
  const xs = random.normal(b!, [5, rows, 8]);
  const gradient = grad((parameters: { w: Tracer; xs: Tracer }) => iterated(parameters.w, parameters.xs).sin().sum());
  const run = async (device: Awaited<ReturnType<typeof wasm>>) => [
    await device.get(await device.run(iterated, w, xs)),
    ...Object.values(await device.get(await device.run(gradient, { w, xs }))),
  ];
  const expected = await run(await reference());
  const actual = await run(await wasm());
  actual.forEach((tensor, k) => {
    const want = expected[k]!;
    const scale = Math.max(1, ...Array.from(want.data, Math.abs));
    tensor.data.forEach((x: number, i: number) => {
      expect(Math.abs(x - want.data[i]!)).toBeLessThan(1e-5 * scale);
    });
  });
});

it("gives the same bits every time", async () => {
  const xs = random.normal(key(1), [5, 32, 8]);
  const w = array(Array.from({ length: 8 }, (_, i) => Array.from({ length: 8 }, (_, j) => Math.sin(i * 8 + j) / 4)));
  const device = await wasm();
  const [first, second] = [await device.run(iterated, w, xs), await device.run(iterated, w, xs)];
  expect((await first.read()).data).toEqual((await second.read()).data);
});

it("a step that moves rows is not run by blocks of rows", async () => {
  const step = (h: Tracer, x: Tracer): readonly [Tracer, Tracer] => {
    const y = h.mul(0.5).add(x).tanh();
    const moved = concatenate([y, y], 0).sliceAxis(0, 5, 37).mul(0.5);
    return [moved, moved];
  };
  const f = (xs: Tracer): Tracer => scan(step, xs.index(0, 0).mul(0), xs)[1];
  const xs = random.normal(key(3), [4, 32, 8]);
  const [expected, actual] = await Promise.all(
    [await reference(), await wasm()].map(async (device) => (await device.get(await device.run(f, xs))).data),
  );
  actual!.forEach((x: number, i: number) => {
    expect(Math.abs(x - expected![i]!)).toBeLessThan(1e-5);
  });
});
