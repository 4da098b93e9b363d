/** A GEMM micro-kernel as an example of the writer: a 4x8 tile of C in registers, over packed panels of A and B. */
import { expect, test } from "vitest";
import type { Expr, Local } from "../../src/wasm/index.ts";
import { ModuleBuilder, f32x4, i32, probeFeatures, v128 } from "../../src/wasm/index.ts";
import { disassemble, instantiate, memoryOf } from "./support.ts";

const [rows, columns] = [4, 8];
const vectors = columns / 4;

type MultiplyAdd = (a: Expr<"v128">, b: Expr<"v128">, c: Expr<"v128">) => Expr<"v128">;

/**
 * `kernel(a, b, c, k, stride)` adds to the tile of C at address c, whose rows are `stride` bytes apart, the product of
 * A [k, 4] and B [k, 8], both contiguous.
 */
function kernel(multiplyAdd: MultiplyAdd): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder({ name: "gemm" });
  m.export("memory", m.memory({ min: 4 }));
  const tile = m.func("tile", ["i32", "i32", "i32", "i32", "i32"], [], (f, a, b, c, k, stride) => {
    const row = Array.from({ length: rows }, (_, r) => f.let(i32.add(c, i32.mul(stride, r))));
    const sums = row.map((p) => Array.from({ length: vectors }, (_, j): Local<"v128"> => f.let(v128.load(p, 16 * j))));
    f.range(0, k, 1, () => {
      const right = Array.from({ length: vectors }, (_, j) => f.let(v128.load(b, 16 * j)));
      sums.forEach((sum, r) => {
        const left = f.let(v128.load32_splat(a, 4 * r));
        sum.forEach((total, j) => f.set(total, multiplyAdd(left, right[j]!, total)));
      });
      f.set(a, i32.add(a, 4 * rows));
      f.set(b, i32.add(b, 4 * columns));
    });
    sums.forEach((sum, r) => sum.forEach((total, j) => f.v128.store(row[r]!, total, 16 * j)));
  });
  m.export("tile", tile);
  return m.build();
}

const base: MultiplyAdd = (a, b, c) => f32x4.add(f32x4.mul(a, b), c);
const fused: MultiplyAdd = (a, b, c) => f32x4.relaxed_madd(a, b, c);

test.each([0, 1, 7, 256])("a 4x8 tile with k = %i equals a plain loop, bit for bit", (k) => {
  const exports = instantiate(kernel(base));
  const memory = new Float32Array(memoryOf(exports).buffer);
  const [a, b, c, stride] = [0, 4096, 16_384, 20];
  for (let i = 0; i < 4 * 256; i++) memory[a + i] = Math.sin(i);
  for (let i = 0; i < 8 * 256; i++) memory[b + i] = Math.cos(3 * i);
  for (let i = 0; i < 4 * stride; i++) memory[c + i] = i;
  const expected = memory.slice();
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < columns; j++) {
      for (let p = 0; p < k; p++) {
        const product = Math.fround(expected[a + rows * p + r]! * expected[b + columns * p + j]!);
        expected[c + stride * r + j] = product + expected[c + stride * r + j]!;
      }
    }
  }
  exports["tile"]!(4 * a, 4 * b, 4 * c, k, 4 * stride);
  expect(memory).toEqual(expected);
});

test("the fused kernel needs relaxed SIMD, and runs where it is offered", () => {
  const bytes = kernel(fused);
  expect(disassemble(bytes).match(/f32x4\.relaxed_madd/g)).toHaveLength(rows * vectors);
  if (!probeFeatures().relaxedSimd) return;
  const exports = instantiate(bytes);
  const memory = new Float32Array(memoryOf(exports).buffer);
  memory.fill(2, 0, 4 * 3).fill(5, 1024, 1024 + 8 * 3);
  exports["tile"]!(0, 4096, 8192, 3, 32);
  expect([...memory.slice(2048, 2048 + 32)]).toEqual(Array.from({ length: 32 }, () => 30));
});

test("a kernel is small, and is built in well under a millisecond", () => {
  expect(kernel(base).length).toBeLessThan(500);
  for (let i = 0; i < 50; i++) kernel(base);
  const startedAt = performance.now();
  for (let i = 0; i < 50; i++) kernel(base);
  // About 0.05 ms on an idle machine.
  expect((performance.now() - startedAt) / 50).toBeLessThan(2);
});
