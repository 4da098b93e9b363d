import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  BackendLostError,
  BanachError,
  DisposedBufferError,
  DonatedBufferError,
  DTypeError,
  GraphError,
  OutOfMemoryError,
  ShapeError,
} from "../../src/errors.ts";
import { Var } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import type { TensorType } from "../../src/ir/tensor-type.ts";
import { referenceBackend } from "../../src/reference/index.ts";

const type: TensorType = { dtype: "float32", shape: [4] };
const data = Float32Array.of(1, 2, 3, 4);
/** One temporary of 16 bytes. */
const doubleNegative = parseGraph(
  "graph(%0: float32[4]) { %1: float32[4] = neg(%0) %2: float32[4] = neg(%1) return (%2) }",
);
const sum = parseGraph("graph(%0: float32[4], %1: float32[4]) { %2: float32[4] = add(%0, %1) return (%2) }");

describe("buffers", () => {
  it("copies on the way in and on the way out", async () => {
    const backend = referenceBackend();
    const mine = data.slice();
    const buffer = backend.write(mine, type);
    mine.fill(0);
    const first = await backend.read(buffer);
    first.fill(0);
    expect(await backend.read(buffer)).toEqual(data);
  });

  it("stores bool as 0 and 1, and rounds float16", async () => {
    const backend = referenceBackend();
    const flags = backend.write(Uint8Array.of(0, 7), { dtype: "bool", shape: [2] });
    const half = backend.write(Float32Array.of(2049), { dtype: "float16", shape: [] });
    expect(await backend.read(flags)).toEqual(Uint8Array.of(0, 1));
    expect(await backend.read(half)).toEqual(Float32Array.of(2048));
  });

  it("refuses data that do not fit the type", () => {
    const backend = referenceBackend();
    expect(() => backend.write(Float64Array.from(data), type)).toThrow(DTypeError);
    expect(() => backend.write(Float32Array.of(1), type)).toThrow(ShapeError);
    expect(backend.memory().liveBuffers).toBe(0);
  });

  it("says that a buffer was disposed; disposing twice counts once", async () => {
    const backend = referenceBackend();
    const buffer = backend.write(data, type);
    buffer[Symbol.dispose]();
    buffer[Symbol.dispose]();
    expect(buffer.state).toBe("disposed");
    expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    await expect(backend.read(buffer)).rejects.toThrow(DisposedBufferError);
    const executable = await backend.compile(sum, { label: "sum" });
    const live = backend.write(data, type);
    await expect(executable.run([live, buffer])).rejects.toThrow(/^sum: input 1, float32\[4\], was disposed/);
  });
});

describe("run", () => {
  it("checks the number, the types and the owner of its inputs", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(sum, { label: "sum" });
    const a = backend.write(data, type);
    const scalar = backend.write(Float32Array.of(1), { dtype: "float32", shape: [] });
    const foreign = referenceBackend().write(data, type);
    await expect(executable.run([a])).rejects.toThrow(ShapeError);
    await expect(executable.run([a, scalar])).rejects.toThrow(/sum: input 1 must be float32\[4\], got float32\[\]/);
    await expect(executable.run([foreign, a])).rejects.toThrow(/sum: input 0 is no buffer of this backend/);
    await expect(backend.read(foreign)).rejects.toThrow(ArgumentError);
  });

  it("borrows inputs and hands over outputs", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(sum);
    const a = backend.write(data, type);
    const { outputs, loopSteps } = await executable.run([a, a]);
    expect(a.state).toBe("live");
    expect(await backend.read(outputs[0]!)).toEqual(Float32Array.of(2, 4, 6, 8));
    expect(loopSteps).toEqual([]);
    expect(executable).toMatchObject({ inputs: [type, type], outputs: [type], temporaryBytes: 0 });
  });

  it("gives the same bits again", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(doubleNegative);
    const a = backend.write(data, type);
    const runs = await Promise.all([executable.run([a]), executable.run([a])]);
    for (const { outputs } of runs) expect(await backend.read(outputs[0]!)).toEqual(data);
  });

  it("is refused after the executable was disposed", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(doubleNegative);
    executable[Symbol.dispose]();
    await expect(executable.run([backend.write(data, type)])).rejects.toThrow(BanachError);
  });
});

describe("donation", () => {
  it("ends the donated buffer, and a later use names it", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(sum, { donate: [0], label: "step" });
    const [a, b] = [backend.write(data, type), backend.write(data, type)];
    const { outputs } = await executable.run([a, b]);
    expect([a.state, b.state, outputs[0]!.state]).toEqual(["donated", "live", "live"]);
    expect([...executable.donated]).toEqual([0]);
    expect(backend.memory()).toMatchObject({ liveBuffers: 2, liveBytes: 32 });
    await expect(executable.run([a, b])).rejects.toThrow(DonatedBufferError);
    await expect(executable.run([a, b])).rejects.toThrow(/^step: input 0, float32\[4\], was donated/);
    await expect(backend.read(a)).rejects.toThrow(DonatedBufferError);
    a[Symbol.dispose]();
    expect(a.state).toBe("donated");
  });

  it("refuses to donate a buffer that is also another input", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(sum, { donate: [1] });
    const a = backend.write(data, type);
    await expect(executable.run([a, a])).rejects.toThrow(/input 1 is donated, but input 0 is the same buffer/);
    expect(a.state).toBe("live");
  });

  it("refuses an index that is no input", async () => {
    await expect(referenceBackend().compile(sum, { donate: [2] })).rejects.toThrow(ArgumentError);
  });
});

describe("memory", () => {
  it("counts live bytes, and temporaries in the peak", async () => {
    const backend = referenceBackend();
    const executable = await backend.compile(doubleNegative);
    expect(executable.temporaryBytes).toBe(16);
    const a = backend.write(data, type);
    const { outputs } = await executable.run([a]);
    expect(backend.memory()).toEqual({ liveBuffers: 2, liveBytes: 32, peakBytes: 48, pooledBytes: 0 });
    a[Symbol.dispose]();
    outputs[0]![Symbol.dispose]();
    expect(backend.memory()).toEqual({ liveBuffers: 0, liveBytes: 0, peakBytes: 48, pooledBytes: 0 });
  });

  it("refuses what does not fit before it writes anything, and the next smaller run works", async () => {
    const backend = referenceBackend({ maxBytes: 40 });
    const large = await backend.compile(doubleNegative, { donate: [0] });
    const small = await backend.compile(
      parseGraph("graph(%0: float32[4]) { %1: float32[] = reduce_sum{axes=[0]}(%0) return (%1) }"),
    );
    const a = backend.write(data, type);
    const error = await large.run([a]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requested: 32, limit: 40, live: 16 });
    expect(a.state).toBe("live");
    expect(backend.memory()).toMatchObject({ liveBuffers: 1, liveBytes: 16, peakBytes: 16 });
    const { outputs } = await small.run([a]);
    expect(await backend.read(outputs[0]!)).toEqual(Float32Array.of(10));
    expect(() => backend.write(new Float32Array(10), { dtype: "float32", shape: [10] })).toThrow(OutOfMemoryError);
    backend.write(Float32Array.of(1), { dtype: "float32", shape: [] });
  });

  it("reports the limits", () => {
    const { limits } = referenceBackend({ maxBytes: 100 });
    expect(limits.maxBufferBytes).toBe(100);
    expect(limits.ieeeNonFinite).toBe(true);
    expect([...limits.dtypes]).toContain("float64");
    expect(() => referenceBackend({ maxBytes: -1 })).toThrow(ArgumentError);
  });
});

describe("compile", () => {
  it("verifies the graph", async () => {
    const stray = new Var(type);
    await expect(referenceBackend().compile({ inputs: [], equations: [], outputs: [stray] })).rejects.toThrow(
      GraphError,
    );
  });

  it("honours a signal that has been aborted", async () => {
    const reason = new Error("enough");
    await expect(referenceBackend().compile(sum, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(referenceBackend().compile(sum, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: "AbortError",
    });
    await expect(referenceBackend().compile(sum, { signal: new AbortController().signal })).resolves.toBeDefined();
  });
});

describe("disposal", () => {
  it("resolves lost, loses the buffers and refuses further work", async () => {
    const backend = referenceBackend();
    const a = backend.write(data, type);
    const executable = await backend.compile(sum);
    await backend.synchronize();
    await backend[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
    expect(await backend.lost).toMatchObject({ reason: "destroyed" });
    expect(a.state).toBe("lost");
    expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    await expect(backend.compile(sum)).rejects.toThrow(BackendLostError);
    await expect(executable.run([a, a])).rejects.toThrow(BackendLostError);
    await expect(backend.read(a)).rejects.toThrow(BackendLostError);
    await expect(backend.synchronize()).rejects.toThrow(BackendLostError);
    expect(() => backend.write(data, type)).toThrow(BackendLostError);
    a[Symbol.dispose]();
    expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
  });
});
