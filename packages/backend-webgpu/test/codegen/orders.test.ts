/** Programs in which invocations pass on what they compute: right for any order of invocations, and for any shape of grid. */
import { scan, type Tracer } from "@banach/autograd";
import { describeAgreement, settle, weights } from "./agreement.ts";

describeAgreement({
  "sums that do not depend on each other": [
    [
      [12, 64],
      [64, 64],
      [64, 64],
      [64, 64],
    ],
    (y, a, b, c) =>
      settle(
        y,
        (z) =>
          z
            .matmul(weights(a))
            .tanh()
            .mul(z.matmul(weights(b)))
            .add(z.matmul(weights(c)).mul(0.5)),
        0.01,
      ),
  ],
  "norms one after the other": [
    [[6, 500]],
    (y) =>
      settle(
        y,
        (z) =>
          z.div(
            z
              .square()
              .sum({ axes: 1, keepDims: true })
              .add(z.abs().max({ axes: 1, keepDims: true })),
          ),
        2,
      ),
  ],
  "values that do not fit in workgroup memory": [
    [
      [12, 64],
      [64, 6000],
      [64, 6000],
    ],
    (y, a, b) => {
      const sums = (z: Tracer, w: Tracer): Tracer =>
        z.matmul(weights(w)).tanh().reshape([12, 300, 20]).sum({ axes: 2 });
      return settle(
        y,
        (z) => z.mul(0.6).add(sums(z, a).mul(sums(z, b)).sum({ axes: 1, keepDims: true }).mul(1e-4)),
        0.3,
      );
    },
  ],
  "sums of all types in a loop whose values fill workgroup memory": [
    [[4, 960]],
    (y) =>
      settle(
        y,
        (z) => {
          const [u, v, w] = [z.tanh(), z.mul(0.7).tanh().exp(), z.mul(0.3).exp().tanh()];
          const places = u.argmax(1).add(v.argmax(1)).add(w.argmax(1)).astype("float32").expandDims(1).mul(1e-5);
          const isSmall = z.greater(-100).all({ axes: 1, keepDims: true }).astype("float32");
          const isLarge = z.greater(-50).any({ axes: 1, keepDims: true }).astype("float32");
          const power = z.square().mean({ axes: 1, keepDims: true }).tanh();
          const mixed = u.mul(v).mul(w).mul(0.1).add(places);
          return z.mul(0.5).add(mixed.mul(power).mul(isSmall).mul(isLarge));
        },
        0.3,
      ),
  ],
  "scans in a scan": [
    [
      [6, 5],
      [3, 4, 6, 70],
    ],
    (h, xs) => {
      const mean = (x: Tracer): Tracer => x.mean({ axes: 1, keepDims: true });
      const step = (y: Tracer, x: Tracer) => {
        const [a, as] = scan(
          (c: Tracer, e: Tracer) => [c.mul(0.9).add(mean(e)).tanh(), e.add(mean(c)).tanh()] as const,
          y,
          x,
        );
        const [b, bs] = scan((c: Tracer, e: Tracer) => [c.add(mean(e)).tanh(), mean(e).add(c)] as const, a, as);
        const [d, ds] = scan((c: Tracer, e: Tracer) => [c.add(e.mul(0.1)).tanh(), mean(e).add(c)] as const, b, bs);
        const [last] = scan((c: Tracer, e: Tracer) => [c.sub(e).tanh(), null] as const, d, ds);
        return [last, last] as const;
      };
      return scan(step, h, xs);
    },
  ],
  "a scan in reverse, with a while in it": [
    [
      [6, 40],
      [4, 6, 40],
      [40, 40],
    ],
    (h, xs, w) => {
      const step = (y: Tracer, x: Tracer) => {
        const [settled = y] = settle(y.add(x), (z) => z.matmul(weights(w)).tanh(), 0.2);
        return [settled, settled.sum({ axes: 1 })] as const;
      };
      return scan(step, h, xs, { reverse: true });
    },
  ],
  "kernels with more workgroups than a dimension has": [
    [
      [70, 90],
      [90, 130],
      [700, 33],
    ],
    (a, b, c) => [a.matmul(b), c.exp(), c.sum({ axes: 1 }), c.sum(), c.cumsum({ axis: 0 })],
  ],
});
