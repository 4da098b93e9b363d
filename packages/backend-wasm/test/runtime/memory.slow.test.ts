/** Memory by the gigabyte, most of it never touched. */
import { array, makeGraph, optimize, type Tracer, whileLoop } from "@banach/autograd";
import { type Backend, type Buffer, OutOfMemoryError, type TensorType } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../../src/runtime/backend.ts";
import { spaceOf } from "./reserve.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const vector = (bytes: number): TensorType => ({ dtype: "float32", shape: [bytes / 4] });

/** A live buffer that nobody has written to. */
function blank(backend: Backend, type: TensorType): Buffer {
  const { buffers, block } = spaceOf(backend).create("blank", [type], 0);
  spaceOf(backend).heap.release(block, 0);
  return buffers[0]!;
}

/** x + 1, and a loop that never runs, whose body stores two matrices of n^2 numbers. */
function withIdleLoop(n: number) {
  return (x: Tracer, runs: Tracer): Tracer => {
    const { carry } = whileLoop(
      (c: { y: Tracer; runs: Tracer }) => c.runs,
      ({ y, runs: again }) => {
        const row = y.sum().broadcastTo([1, n]).mul(0.5);
        const product = row.transpose().matmul(row).tanh();
        return { y: y.add(product.matmul(product).sum()), runs: again };
      },
      { y: x, runs },
      { maxSteps: 3 },
    );
    return carry.y.add(1);
  };
}

async function failure(work: () => unknown): Promise<OutOfMemoryError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
  throw new Error("there was memory");
}

describe.each([1, 2])("memory of wasm with %i threads", (threads) => {
  it("grows by hundreds of MB, and what is there stays as it is", async () => {
    await using backend = await wasmBackend({ threads });
    const data = new Float32Array((80 * MIB) / 4);
    const buffers = [1, 2, 3, 4].map((value) => backend.write(data.fill(value), vector(data.byteLength)));
    for (const [i, buffer] of buffers.entries()) {
      expect((await backend.read(buffer)).every((x) => x === i + 1)).toBe(true);
    }
    expect(backend.memory().liveBytes).toBe(320 * MIB);
  });

  it("refuses at 4 GiB what does not fit, and goes on", async () => {
    await using backend = await wasmBackend({ threads });
    const compile = (n: number) =>
      backend.compile(optimize(makeGraph(withIdleLoop(n), array([1, 2, 3, 4]), array(false))), { label: "big" });
    const [big, small] = [await compile(18_000), await compile(8_000)];
    expect(big.temporaryBytes).toBeGreaterThan(2 * GIB);
    expect(small.temporaryBytes).toBeLessThan(0.7 * GIB);
    const x = backend.write(Float32Array.of(1, 2, 3, 4), vector(16));
    const no = backend.write(Uint8Array.of(0), { dtype: "bool", shape: [] });
    const expectRight = async (executable: typeof big): Promise<void> => {
      const [output] = (await executable.run([x, no])).outputs;
      expect([...(await backend.read(output!))]).toEqual([2, 3, 4, 5]);
      output![Symbol.dispose]();
    };
    await expectRight(big);

    const held = [blank(backend, vector(2 * GIB)), blank(backend, vector(GIB))];
    const before = backend.memory();
    const live = 3 * GIB + 17;
    const fromRun = await failure(() => big.run([x, no]));
    expect(fromRun).toMatchObject({ requested: big.temporaryBytes + 16, limit: 4 * GIB, live });
    expect(fromRun.message).toMatch(
      /^big: does not fit in memory; .* are float32\[536870912\] \(2147483648 bytes\), float32\[268435456\] \(1073741824 bytes\), float32\[4\] /,
    );
    expect(backend.memory()).toEqual(before);
    await expectRight(small);

    const last = blank(backend, vector(GIB - MIB));
    const fromWrite = await failure(() => backend.write(new Float32Array(MIB / 2), vector(2 * MIB)));
    expect(fromWrite).toMatchObject({ requested: 2 * MIB, limit: 4 * GIB, live: live + GIB - MIB });
    expect(fromWrite.message).toMatch(/^write of float32\[524288\]: does not fit in memory; /);
    expect([...(await backend.read(x))]).toEqual([1, 2, 3, 4]);

    for (const buffer of [...held, last]) buffer[Symbol.dispose]();
    await expectRight(big);
    expect(backend.memory()).toMatchObject({ liveBuffers: 2, liveBytes: 17 });
  });
});
