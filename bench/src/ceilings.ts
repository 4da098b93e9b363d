/** Loops that show what the machine can do at best, written in WebAssembly text: with base SIMD unless they say otherwise. */
import loadWabt from "wabt";
import type { Task } from "./framework.ts";
import { offersRelaxedSimd, withRelaxedSimd } from "./relaxed.ts";

export interface Ceilings {
  /** As many multiplications and additions, in registers alone. */
  readonly mulAdd: (flops: number) => Task;
  /** The same with the fused multiply-add of relaxed SIMD. */
  readonly fusedMulAdd: (flops: number) => Task;
  /** As many bytes read and written by memory.copy: half of them each. */
  readonly copy: (bytes: number) => Task;
  /** silu(x) * y + z of as many elements, on 1,024 that stay in the first cache. */
  readonly silu: (size: number) => Task;
  /** Layer norm of as many rows, on 8 that stay in the first cache: sums, squares, and for each element a division. */
  readonly layerNorm: (rows: number, features: number) => Task;
}

const chains = 12;
const repeat = (text: (i: number) => string): string => Array.from({ length: chains }, (_, i) => text(i)).join("\n");
const floats = (value: number): string => `(v128.const f32x4 ${[value, value, value, value].join(" ")})`;

/**
 * Independent chains of acc = acc * c + d: enough to hide the latency, few enough to stay in 16 registers. On a Zen 4 core
 * 8 chains reach 35 GFLOP/s, 12 reach 50, and 14 spill and reach 26.
 */
const mulAddLoop = (step: (acc: string) => string): string => `
  (func (export "mulAdd") (param $n i32) (result f32)
    ${repeat((i) => `(local $a${i} v128)`)} (local $c v128) (local $d v128)
    (local.set $c ${floats(0.999)}) (local.set $d ${floats(0.001)})
    ${repeat((i) => `(local.set $a${i} ${floats(i / chains)})`)}
    (loop $more
      ${repeat((i) => `(local.set $a${i} ${step(`(local.get $a${i})`)})`)}
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    ${repeat((i) => `(local.set $d (f32x4.add (local.get $d) (local.get $a${i})))`)}
    (f32x4.extract_lane 0 (local.get $d)))`;
const mulAdd = mulAddLoop((acc) => `(f32x4.add (f32x4.mul ${acc} (local.get $c)) (local.get $d))`);
const fusedMulAdd = mulAddLoop((acc) => `(f32x4.relaxed_madd ${acc} (local.get $c) (local.get $d))`);

const siluBlock = 1024;
const polynomial = [0.001388251, 0.00836658, 0.0416672, 0.16666543, 0.49999997]
  .map(floats)
  .reduce((sum, coefficient) => `(f32x4.add (f32x4.mul ${sum} (local.get $r)) ${coefficient})`);

/** The exponential is the backend's: Cody and Waite's reduction, the same polynomial, no branch; then one division. */
const silu = `
  (func (export "silu") (param $blocks i32) (local $p i32)
    (local $x v128) (local $v v128) (local $s v128) (local $n v128) (local $r v128)
    (loop $block
      (local.set $p (i32.const 0))
      (loop $more
        (local.set $x (v128.load (local.get $p)))
        (local.set $v (f32x4.pmax (f32x4.pmin (f32x4.neg (local.get $x)) ${floats(87.33654)}) ${floats(-30)}))
        (local.set $s (f32x4.add (f32x4.mul (local.get $v) ${floats(Math.LOG2E)}) ${floats(12582912)}))
        (local.set $n (f32x4.sub (local.get $s) ${floats(12582912)}))
        (local.set $r (f32x4.sub (f32x4.sub (local.get $v) (f32x4.mul (local.get $n) ${floats(0.693145751953125)}))
          (f32x4.mul (local.get $n) ${floats(1.4286068203094173e-6)})))
        (local.set $r (f32x4.add (f32x4.add
          (f32x4.mul (f32x4.mul (local.get $r) (local.get $r)) ${polynomial}) (local.get $r)) ${floats(1)}))
        (local.set $s (i32x4.add (i32x4.shl (local.get $s) (i32.const 23)) (v128.const i32x4 0x3f800000 0x3f800000 0x3f800000 0x3f800000)))
        (v128.store offset=12288 (local.get $p)
          (f32x4.add (f32x4.mul
            (f32x4.div (local.get $x) (f32x4.add (f32x4.mul (local.get $r) (local.get $s)) ${floats(1)}))
            (v128.load offset=4096 (local.get $p))) (v128.load offset=8192 (local.get $p))))
        (br_if $more (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (i32.const ${4 * siluBlock}))))
      (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1))))))`;

const normRows = 8;
const parts = [0, 1, 2, 3];

/** The sum of four vectors, then of its lanes, in every lane of $x. */
const sumOfParts = `
        (local.set $x (f32x4.add (f32x4.add (local.get $a0) (local.get $a1)) (f32x4.add (local.get $a2) (local.get $a3))))
        (local.set $x (f32x4.add (local.get $x) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $x) (local.get $x))))
        (local.set $x (f32x4.add (local.get $x) (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $x) (local.get $x))))`;

/** Over a row, from its start in $p: code for each of four vectors, at an offset from it. */
const overRow = (label: string, of: (part: number, at: string) => string): string => `
        (local.set $p (local.get $row)) (local.set $w (local.get $weight))
        (loop ${label}
          ${parts.map((part) => of(part, `offset=${16 * part}`)).join("\n          ")}
          (local.set $w (i32.add (local.get $w) (i32.const 64)))
          (br_if ${label} (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 64))) (local.get $end))))`;

const zeroParts = parts.map((part) => `(local.set $a${part} ${floats(0)})`).join(" ");
const mean = `(f32x4.div (local.get $x) (f32x4.splat (f32.convert_i32_u (i32.shr_u (local.get $bytes) (i32.const 2)))))`;

/** Rows of `bytes` bytes, a multiple of 64: 8 of them at 0, their results at 64 KiB, weight and bias at 128 and 192 KiB. */
const layerNorm = `
  (func (export "layerNorm") (param $blocks i32) (param $bytes i32)
    (local $row i32) (local $end i32) (local $p i32) (local $w i32) (local $weight i32)
    (local $x v128) (local $m v128) (local $s v128) ${parts.map((part) => `(local $a${part} v128)`).join(" ")}
    (local.set $weight (i32.const ${2 * 65536}))
    (loop $block
      (local.set $row (i32.const 0))
      (loop $rows
        (local.set $end (i32.add (local.get $row) (local.get $bytes)))
        ${zeroParts}
        ${overRow("$sum", (part, at) => `(local.set $a${part} (f32x4.add (local.get $a${part}) (v128.load ${at} (local.get $p))))`)}
        ${sumOfParts}
        (local.set $m ${mean})
        ${zeroParts}
        ${overRow(
          "$squares",
          (part, at) => `(local.set $x (f32x4.sub (v128.load ${at} (local.get $p)) (local.get $m)))
          (local.set $a${part} (f32x4.add (local.get $a${part}) (f32x4.mul (local.get $x) (local.get $x))))`,
        )}
        ${sumOfParts}
        (local.set $s (f32x4.sqrt (f32x4.add ${mean} ${floats(1e-5)})))
        ${overRow(
          "$scale",
          (part, at) => `(v128.store offset=${65536 + 16 * part} (local.get $p) (f32x4.add (f32x4.mul
            (f32x4.div (f32x4.sub (v128.load ${at} (local.get $p)) (local.get $m)) (local.get $s))
            (v128.load ${at} (local.get $w))) (v128.load offset=${65536 + 16 * part} (local.get $w))))`,
        )}
        (br_if $rows (i32.lt_u (local.tee $row (local.get $end)) (i32.mul (local.get $bytes) (i32.const ${normRows})))))
      (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1))))))`;

/** Pages of 64 KiB: room to copy 128 MiB. */
const pages = 4096;
/** Behind what the other loops use. */
const copyFrom = 2 ** 20;

const source = `(module (memory (export "memory") ${pages})
  ${mulAdd}
  ${silu}
  ${layerNorm}
  (func (export "copy") (param $half i32)
    (memory.copy (i32.const ${(pages / 2) * 65536}) (i32.const ${copyFrom}) (local.get $half))))`;

/** The part of the global that is used: the Node types of the workspace do not declare it. */
interface WebAssemblyApi {
  instantiate(bytes: Uint8Array): Promise<{ readonly instance: { readonly exports: unknown } }>;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly mulAdd: (iterations: number) => number;
  readonly silu: (blocks: number) => void;
  readonly layerNorm: (blocks: number, bytes: number) => void;
  readonly copy: (half: number) => void;
}

export async function ceilings(): Promise<Ceilings> {
  const wabt = await loadWabt();
  const instantiate = async (source: string, relaxed: boolean): Promise<unknown> => {
    const text = wabt.parseWat("ceilings.wat", source, { simd: true, bulk_memory: true, relaxed_simd: relaxed });
    const bytes = new Uint8Array(text.toBinary({}).buffer);
    text.destroy();
    const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi };
    return (await WebAssembly.instantiate(bytes)).instance.exports;
  };
  const loops = (await instantiate(source, false)) as Exports;
  const fused = (await offersRelaxedSimd())
    ? ((await withRelaxedSimd(() => instantiate(`(module ${fusedMulAdd})`, true))) as Pick<Exports, "mulAdd">)
    : undefined;
  requireSilu(loops);
  requireLayerNorm(loops);
  const iterations = (flops: number): number => Math.max(1, Math.round(flops / (chains * 8)));
  return {
    mulAdd: (flops) => ({ run: () => loops.mulAdd(iterations(flops)) }),
    fusedMulAdd: (flops) => {
      if (fused === undefined) throw new Error("this engine has no relaxed SIMD");
      return { run: () => fused.mulAdd(iterations(flops)) };
    },
    copy: (bytes) => {
      const half = Math.round(bytes / 2);
      if (half > (pages / 2) * 65536 - copyFrom) throw new RangeError(`there is no room to copy ${half} bytes`);
      // Linux maps memory that nobody has written to one page of zeros, which would be copied from the first cache.
      new Float32Array(loops.memory.buffer, copyFrom, Math.ceil(half / 4)).fill(1);
      return { run: () => loops.copy(half) };
    },
    silu: (size) => ({ run: () => loops.silu(Math.max(1, Math.round(size / siluBlock))) }),
    layerNorm: (rows, features) => {
      if (features % 16 !== 0 || features > 2048) throw new RangeError(`there is no loop for ${features} features`);
      return { run: () => loops.layerNorm(Math.max(1, Math.round(rows / normRows)), 4 * features) };
    },
  };
}

/** A ceiling that computes something else would be none. */
function requireSilu(loops: Exports): void {
  const memory = new Float32Array(loops.memory.buffer, 0, 4 * siluBlock);
  for (let i = 0; i < 3 * siluBlock; i++) memory[i] = (((i * 37) % siluBlock) / siluBlock) * 16 - 8;
  loops.silu(1);
  for (let i = 0; i < siluBlock; i++) {
    const at = (block: number): number => memory[block * siluBlock + i] ?? Number.NaN;
    const expected = (at(0) / (1 + Math.exp(-at(0)))) * at(1) + at(2);
    if (!(Math.abs(at(3) - expected) <= 1e-5 * (1 + Math.abs(expected)))) {
      throw new Error(`the ceiling of silu gives ${at(3)} in the place of ${expected}`);
    }
  }
}

function requireLayerNorm(loops: Exports): void {
  const features = 32;
  const view = (page: number): Float32Array => new Float32Array(loops.memory.buffer, page * 65536, normRows * features);
  const [x, y, weight, bias] = [view(0), view(1), view(2), view(3)];
  // All four pages, so that wider rows find numbers as well.
  new Float32Array(loops.memory.buffer, 0, 65536).forEach((_, i, memory) => {
    memory[i] = ((i * 37) % 101) / 50 - 1;
  });
  loops.layerNorm(1, 4 * features);
  for (let row = 0; row < normRows; row++) {
    const values = x.subarray(row * features, (row + 1) * features);
    const mean = values.reduce((sum, value) => sum + value, 0) / features;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / features;
    values.forEach((value, i) => {
      const expected = ((value - mean) / Math.sqrt(variance + 1e-5)) * (weight[i] ?? 0) + (bias[i] ?? 0);
      const got = y[row * features + i] ?? Number.NaN;
      if (!(Math.abs(got - expected) <= 1e-4))
        throw new Error(`the ceiling of layer norm gives ${got} for ${expected}`);
    });
  }
}
