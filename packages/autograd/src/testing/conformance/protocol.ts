/** What every backend owes its callers besides right numbers: ownership, memory accounting, donation, refusals, loop counts. */
import { BanachError, DisposedBufferError, DonatedBufferError, DTypeError, GraphError } from "../../errors.ts";
import { type Graph, literal, Var } from "../../ir/graph.ts";
import { allocateHost, type DType, DTYPES, type HostArray, isFloat, type TensorType } from "../../ir/tensor-type.ts";
import { abs, add, greater, less, mul, tanh } from "../../ops/elementwise.ts";
import { max } from "../../ops/reduction.ts";
import { whileLoop } from "../../ops/control.ts";
import type { Backend } from "../../runtime/backend.ts";
import type { Tracer } from "../../trace/tracer.ts";
import { graphOf } from "../sample.ts";
import { check, checkRejects, runOn } from "./runner.ts";

export interface ProtocolCase {
  readonly name: string;
  readonly run: (backend: Backend, open: () => Promise<Backend>) => Promise<void>;
}

const VECTOR: TensorType = { dtype: "float32", shape: [4] };
const data = (): HostArray => Float32Array.of(1, -2, 0.5, 4);
const square = (): Graph => graphOf([VECTOR], (x) => x.map((t) => mul(t, t)));
const identity = (): Graph => {
  const x = new Var(VECTOR);
  return { inputs: [x], equations: [], outputs: [x] };
};

const equals = (actual: HostArray | undefined, ...expected: readonly number[]): boolean =>
  actual?.length === expected.length && expected.every((x, i) => Object.is(actual[i], x));

function valuesFor(dtype: DType): HostArray {
  const array = allocateHost(dtype, 6);
  const edge = { int32: -(2 ** 31), uint32: 2 ** 32 - 1, bool: 1 };
  array.set(isFloat(dtype) ? [0, -0, 1.5, -Infinity, NaN, 65504] : [0, 1, 1, 0, 1, edge[dtype as keyof typeof edge]]);
  return array;
}

/** Halves each row until it is small; the rows take 0, 2 and 5 steps. */
const rowLoop = (): Graph =>
  graphOf([{ dtype: "float32", shape: [3, 2] }], (args) =>
    args.flatMap((x) => {
      const { carry, steps } = whileLoop(
        (z: Tracer) => greater(max(abs(z), { axes: 1 }), 1),
        (z: Tracer) => mul(z, 0.5),
        x,
        { maxSteps: 9 },
      );
      return [carry, steps];
    }),
  );

const counter = (limit: number): Graph =>
  graphOf([{ dtype: "int32", shape: [] }], (args) =>
    args.flatMap((n) => {
      const { carry, steps } = whileLoop(
        (k: Tracer) => less(k, limit),
        (k: Tracer) => add(k, 2),
        n,
        { maxSteps: 50 },
      );
      return [carry, steps];
    }),
  );

export const protocolCases: readonly ProtocolCase[] = [
  {
    name: "what is written is read back",
    run: async (backend) => {
      for (const dtype of DTYPES.filter((d) => backend.limits.dtypes.has(d))) {
        const given = valuesFor(dtype);
        using buffer = backend.write(given, { dtype, shape: [2, 3] });
        check(buffer.state === "live", `a new buffer is ${buffer.state}`);
        check(equals(await backend.read(buffer), ...given), `${dtype} data changed between write and read`);
      }
    },
  },
  {
    name: "a write is a copy, and so is a read",
    run: async (backend) => {
      const given = data();
      using buffer = backend.write(given, VECTOR);
      given[0] = 99;
      const first = await backend.read(buffer);
      first[1] = 99;
      check(equals(await backend.read(buffer), 1, -2, 0.5, 4), "the buffer shares memory with host data");
    },
  },
  {
    name: "memory returns to where it was",
    run: async (backend) => {
      const before = backend.memory();
      const executable = await backend.compile(square());
      const input = backend.write(data(), VECTOR);
      const { outputs } = await executable.run([input]);
      const during = backend.memory();
      check(during.liveBuffers === before.liveBuffers + 2, `2 more live buffers expected, got ${during.liveBuffers}`);
      check(during.liveBytes === before.liveBytes + 32, `32 more live bytes expected, got ${during.liveBytes}`);
      check(during.peakBytes >= during.liveBytes, "peakBytes is below liveBytes");
      for (const buffer of [input, ...outputs]) buffer[Symbol.dispose]();
      input[Symbol.dispose]();
      check(input.state === "disposed", `a disposed buffer is ${input.state}`);
      executable[Symbol.dispose]();
      const after = backend.memory();
      check(after.liveBuffers === before.liveBuffers && after.liveBytes === before.liveBytes, "memory stays live");
    },
  },
  {
    name: "a disposed buffer is refused",
    run: async (backend) => {
      using executable = await backend.compile(square());
      const input = backend.write(data(), VECTOR);
      input[Symbol.dispose]();
      await checkRejects(DisposedBufferError, () => executable.run([input]), "running a disposed buffer");
      await checkRejects(DisposedBufferError, () => backend.read(input), "reading a disposed buffer");
    },
  },
  {
    name: "a donated buffer is taken over and then refused",
    run: async (backend) => {
      const before = backend.memory().liveBytes;
      using executable = await backend.compile(square(), { donate: [0] });
      check(executable.donated.has(0), "the executable does not list what it donates");
      const input = backend.write(data(), VECTOR);
      const { outputs } = await executable.run([input]);
      check(input.state === "donated", `a donated buffer is ${input.state}`);
      check(backend.memory().liveBytes === before + 16, "a donated buffer still counts as live");
      for (const output of outputs) {
        check(equals(await backend.read(output), 1, 4, 0.25, 16), "donation changed the result");
        output[Symbol.dispose]();
      }
      await checkRejects(DonatedBufferError, () => executable.run([input]), "running a donated buffer");
      await checkRejects(DonatedBufferError, () => backend.read(input), "reading a donated buffer");
      input[Symbol.dispose]();
      check(backend.memory().liveBytes === before, "memory stays live after donation");
    },
  },
  {
    name: "an input that is borrowed keeps its data",
    run: async (backend) => {
      using executable = await backend.compile(square());
      using input = backend.write(data(), VECTOR);
      for (const output of (await executable.run([input])).outputs) output[Symbol.dispose]();
      check(equals(await backend.read(input), 1, -2, 0.5, 4), "a run changed its input");
    },
  },
  {
    name: "outputs outlive the executable and the inputs",
    run: async (backend) => {
      const executable = await backend.compile(identity());
      const input = backend.write(data(), VECTOR);
      const { outputs } = await executable.run([input]);
      input[Symbol.dispose]();
      executable[Symbol.dispose]();
      for (const output of outputs) {
        check(equals(await backend.read(output), 1, -2, 0.5, 4), "an output that is an input shares its memory");
        output[Symbol.dispose]();
      }
    },
  },
  {
    name: "literal and repeated results are buffers of their own",
    run: async (backend) => {
      const x = new Var(VECTOR);
      const graph: Graph = { inputs: [x], equations: [], outputs: [x, x, literal("float32", 2.5)] };
      using executable = await backend.compile(graph);
      using input = backend.write(data(), VECTOR);
      const { outputs } = await executable.run([input]);
      outputs[0]?.[Symbol.dispose]();
      const [, second, third] = outputs;
      check(second !== undefined && third !== undefined, "three results expected");
      if (second === undefined || third === undefined) return;
      check(equals(await backend.read(second), 1, -2, 0.5, 4), "repeated results share a buffer");
      check(equals(await backend.read(third), 2.5), "a literal result is wrong");
      second[Symbol.dispose]();
      third[Symbol.dispose]();
    },
  },
  {
    name: "one buffer may stand for two inputs",
    run: async (backend) => {
      using executable = await backend.compile(graphOf([VECTOR, VECTOR], (x) => [x.reduce((a, b) => add(a, b))]));
      using input = backend.write(data(), VECTOR);
      const { outputs } = await executable.run([input, input]);
      for (const output of outputs) {
        check(equals(await backend.read(output), 2, -4, 1, 8), "the sum of a buffer with itself is wrong");
        output[Symbol.dispose]();
      }
    },
  },
  {
    name: "a program without inputs or without results runs",
    run: async (backend) => {
      const [constant] = await runOn(backend, { inputs: [], equations: [], outputs: [literal("float32", 3)] }, []);
      check(equals(constant?.outputs[0], 3), "a constant program is wrong");
      const [nothing] = await runOn(backend, { ...identity(), outputs: [] }, [data()]);
      check(nothing?.outputs.length === 0, "a program without results returns some");
    },
  },
  {
    name: "loop steps are reported",
    run: async (backend) => {
      const [run] = await runOn(backend, counter(7), [Int32Array.of(0)]);
      check(equals(run?.outputs[0], 8) && equals(run?.outputs[1], 4), "the loop stops at the wrong step");
      check(run?.loopSteps.length === 1 && run.loopSteps[0] === 4, `loopSteps is [${run?.loopSteps.join()}], not [4]`);
    },
  },
  {
    name: "finished rows are frozen, and each counts its own steps",
    run: async (backend) => {
      const [run] = await runOn(backend, rowLoop(), [Float32Array.of(0.5, 1, 4, -1, 3, 32)]);
      check(equals(run?.outputs[0], 0.5, 1, 1, -0.25, 3 / 32, 1), `rows end at [${run?.outputs[0]?.join()}]`);
      check(equals(run?.outputs[1], 0, 2, 5), `rows take [${run?.outputs[1]?.join()}] steps, not [0,2,5]`);
      check(run?.loopSteps[0] === 5, "loopSteps is not the largest over the rows");
    },
  },
  {
    name: "invalid programs, operands and dtypes are refused",
    run: async (backend) => {
      const [x, y] = [new Var(VECTOR), new Var(VECTOR)];
      const open: Graph = { inputs: [x], equations: [], outputs: [y] };
      await checkRejects(GraphError, () => backend.compile(open), "a graph with an unbound value");
      using executable = await backend.compile(square());
      await checkRejects(BanachError, () => executable.run([]), "a run with too few inputs");
      using wrong = backend.write(Float32Array.of(1), { dtype: "float32", shape: [1] });
      await checkRejects(BanachError, () => executable.run([wrong]), "a run with an input of another shape");
      for (const dtype of DTYPES.filter((d) => !backend.limits.dtypes.has(d))) {
        const given = allocateHost(dtype, 1);
        await checkRejects(DTypeError, () => backend.write(given, { dtype, shape: [1] }), `writing ${dtype}`);
      }
    },
  },
  {
    name: "a cancelled compilation is refused",
    run: async (backend) => {
      const signal = { aborted: true, reason: new Error("cancelled by the test") };
      await checkRejects(Error, () => backend.compile(square(), { signal }), "a cancelled compilation");
    },
  },
  {
    name: "a disposed backend is lost",
    run: async (_, open) => {
      const backend = await open();
      const input = backend.write(data(), VECTOR);
      await backend.synchronize();
      await backend[Symbol.asyncDispose]();
      const { reason } = await backend.lost;
      check(reason === "destroyed", `a disposed backend is lost for the reason '${reason}'`);
      check(input.state === "lost" || input.state === "disposed", `its buffers are ${input.state}`);
      await checkRejects(BanachError, () => backend.read(input), "reading from a disposed backend");
    },
  },
  {
    name: "runs may overlap",
    run: async (backend) => {
      using executable = await backend.compile(graphOf([VECTOR], (x) => x.map((t) => tanh(t))));
      const inputs = [0, 1, 2, 3].map((n) => backend.write(Float32Array.of(n, n, n, n), VECTOR));
      const runs = await Promise.all(inputs.map((input) => executable.run([input])));
      for (const [n, { outputs }] of runs.entries()) {
        for (const output of outputs) {
          const [first = NaN] = await backend.read(output);
          check(Math.abs(first - Math.tanh(n)) < 1e-5, "overlapping runs mix their results");
          output[Symbol.dispose]();
        }
      }
      for (const input of inputs) input[Symbol.dispose]();
    },
  },
];
