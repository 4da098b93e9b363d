import { describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import { causalConv } from "../../src/nn/causal-conv.ts";
import { eagerly } from "../../src/random/eager.ts";
import { key } from "../../src/random/key.ts";
import type { HostTensor } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { evaluate, f64, randn, relativeError } from "./evaluate.ts";

const [B, C] = [2, 3];

/** y[b, t, c] by its definition; x before the first step is `before`, oldest first, or zero. */
function reference(x: HostTensor, weight: HostTensor, bias: HostTensor, before?: HostTensor): number[] {
  const [time, kernel] = [x.shape[1]!, weight.shape[2]!];
  const input = (b: number, t: number, c: number): number => {
    if (t >= 0) return x.data[(b * time + t) * C + c]!;
    return before === undefined ? 0 : before.data[(b * (kernel - 1) + t + kernel - 1) * C + c]!;
  };
  const y: number[] = [];
  for (let b = 0; b < B; b++)
    for (let t = 0; t < time; t++)
      for (let c = 0; c < C; c++) {
        let total = bias.data[c]!;
        for (let k = 0; k < kernel; k++) total += weight.data[c * kernel + k]! * input(b, t - (kernel - 1) + k, c);
        y.push(total);
      }
  return y;
}

const stepped = eagerly((x: Tracer, weight: Tracer, bias: Tracer, state: Tracer) =>
  causalConv.apply({ weight, bias }, x, state),
);
const step = (...args: [HostTensor, HostTensor, HostTensor, HostTensor]): { y: HostTensor; state: HostTensor } =>
  stepped(...args) as { y: HostTensor; state: HostTensor };

function cut(x: HostTensor, start: number, limit: number): HostTensor {
  return evaluate((a) => a.sliceAxis(1, start, limit), x);
}

describe("causalConv", () => {
  describe.each([1, 2, 4])("kernel %i", (kernel) => {
    const [weight, bias] = [randn(1, [C, 1, kernel]), randn(2, [C])];

    it.each([0, 1, 2, 3, 7])("is its definition at length %i", (time) => {
      const x = randn(3, [B, time, C]);
      const y = evaluate((a, w, b) => causalConv.apply({ weight: w, bias: b }, a), x, weight, bias);
      expect(y.shape).toEqual([B, time, C]);
      expect(relativeError(y.data, reference(x, weight, bias))).toBeLessThan(1e-14);
      const before = randn(4, [B, kernel - 1, C]);
      const carried = step(x, weight, bias, before);
      expect(relativeError(carried.y.data, reference(x, weight, bias, before))).toBeLessThan(1e-14);
      expect(carried.state.shape).toEqual([B, kernel - 1, C]);
    });

    it("may be cut anywhere", () => {
      const x = randn(5, [B, 9, C]);
      const whole = evaluate((a, w, b) => causalConv.apply({ weight: w, bias: b }, a), x, weight, bias);
      let state = causalConv.initialState({ batch: B, channels: C, kernel, dtype: "float64" });
      let start = 0;
      for (const length of [1, 0, 2, 1, 5]) {
        const part = step(cut(x, start, start + length), weight, bias, state);
        expect(relativeError(part.y.data, cut(whole, start, start + length).data)).toBeLessThan(1e-14);
        state = part.state;
        start += length;
      }
      expect(Array.from(state.data)).toEqual(Array.from(cut(x, 9 - Math.min(9, kernel - 1), 9).data));
    });
  });

  it("starts uniform within 1/sqrt(kernel), weight and bias", () => {
    const params = causalConv.init(key(1), { channels: 500 });
    expect([params.weight.shape, params.bias.shape]).toEqual([[500, 1, 4], [500]]);
    for (const { data } of [params.weight, params.bias]) {
      expect(Math.max(...data.map(Math.abs))).toBeLessThanOrEqual(0.5);
      expect(Math.max(...data)).toBeGreaterThan(0.45);
      expect(Math.min(...data)).toBeLessThan(-0.45);
    }
  });

  it("refuses shapes that do not fit, naming them", () => {
    const apply = (x: HostTensor, weight: HostTensor): unknown =>
      evaluate((a, w) => causalConv.apply({ weight: w, bias: 0 }, a), x, weight);
    expect(() => apply(randn(1, [2, 3]), randn(2, [3, 1, 4]))).toThrow(ShapeError);
    expect(() => apply(randn(1, [2, 5, 3]), randn(2, [4, 1, 4]))).toThrow(/float64\[2,5,3\] must be \[3,1,kernel\]/);
    const state = f64([2, 2, 3], new Array<number>(12).fill(0));
    expect(() => step(randn(1, [2, 5, 3]), randn(2, [3, 1, 4]), randn(3, [3]), state)).toThrow(/state .*\[2,3,3\]/);
  });
});
