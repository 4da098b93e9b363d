/** A small host for contractions: two operands and a result in one memory, results stored as they are. */
import type { ContractKernel, Expression, Read } from "@banach/autograd/backend";
import type { ContractHost, Planner } from "../../src/contract/index.ts";
import { emitContract } from "../../src/contract/index.ts";
import type { Expr, FunctionBuilder, I32 } from "../../src/wasm/index.ts";
import { alone, Threads } from "../../src/threads/index.ts";
import { i32, ModuleBuilder, pageBytes, webAssembly } from "../../src/wasm/index.ts";

type DType = "float32" | "int32" | "uint32";

/** An operand: strides in elements over all axes [...batch, ...m, ...n, ...k]. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
  /** Elements of the memory it lies in. */
  readonly size: number;
}

export interface Problem {
  readonly dtype: DType;
  readonly batch: readonly number[];
  readonly m: readonly number[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  readonly left: Layout;
  readonly right: Layout;
}

export interface RunOptions {
  readonly relaxed?: boolean;
  readonly planner?: Planner;
  /** Additions that the epilogue claims to take. */
  readonly epilogueCost?: number;
  /** Threads that share it; their parts run one after the other, as there is no barrier in a contraction. */
  readonly threads?: number;
}

export type Values = Float32Array | Int32Array | Uint32Array;

export interface Running {
  readonly left: Values;
  readonly right: Values;
  readonly out: Values;
  /** How often each result was stored. */
  readonly stored: Uint8Array;
  readonly bytes: number;
  /** Whether every thread does a part. */
  readonly shared: boolean;
  run(): void;
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function accumulatedWithCost(cost: number): Expression {
  let value: Expression = { kind: "accumulated", dtype: "float32" };
  for (let i = 0; i < cost; i++) value = { kind: "apply", dtype: "float32", operation: "neg", args: [value] };
  return value;
}

export function kernelOf(problem: Problem, epilogueCost = 0): ContractKernel {
  const { dtype, batch, m, n, k } = problem;
  const shape = [...batch, ...m, ...n];
  const read = (name: string, { offset, strides, size }: Layout): Read => ({
    kind: "read",
    dtype,
    buffer: { name, dtype, size },
    access: { offset, strides, loops: [] },
  });
  const buffer = { name: "out", dtype, size: product(shape) };
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const access = { offset: 0, strides, loops: [] };
  return {
    kind: "contract",
    shape,
    axes: { batch: batch.length, m: m.length, n: n.length },
    k,
    left: read("left", problem.left),
    right: read("right", problem.right),
    stores: [{ buffer, access, value: accumulatedWithCost(epilogueCost) }],
  };
}

/**
 * Compiles a contraction. A byte counts the stores of each result, if asked; memory ends where the data does, up to the
 * page, so that reading past the end of the last operand traps.
 */
export function compile(problem: Problem, options: RunOptions = {}, count = false): Running {
  const kernel = kernelOf(problem, options.epilogueCost);
  const outSize = product(kernel.shape);
  const module = new ModuleBuilder();
  let end = 64;
  const reserve = (bytes: number): number => {
    const at = end;
    end = Math.ceil((end + bytes) / 16) * 16;
    return at;
  };
  const outAt = reserve(4 * outSize);
  const storedAt = reserve(outSize);
  const scratches: { readonly at: number; readonly bytes: number }[] = [];
  const threads =
    options.threads === undefined ? null : new Threads(module, { size: options.threads, firstMaySleep: true });
  const bases = new Map<string, number>();
  const resultIndex = (point: readonly Expr<"i32">[]): Expr<"i32"> =>
    point.reduce<Expr<"i32">>((sum, index, axis) => {
      const stride = product(kernel.shape.slice(axis + 1));
      return i32.add(sum, stride === 1 ? index : i32.mul(index, stride));
    }, i32.const(0));
  const note = (f: FunctionBuilder, point: readonly Expr<"i32">[], lanes: number): void => {
    if (!count) return;
    const at = f.let(i32.add(resultIndex(point), storedAt));
    for (let lane = 0; lane < lanes; lane++) f.i32.store8(at, i32.add(i32.load8_u(at, lane), 1), lane);
  };
  const host: ContractHost = {
    name: "contract",
    team: threads ?? alone,
    module,
    relaxed: options.relaxed ?? false,
    address: (_, read) => i32.const((bases.get(read.buffer.name) ?? 0) + 4 * read.access.offset),
    scratch(bytes) {
      const at = reserve(bytes);
      scratches.push({ at, bytes });
      return () => i32.const(at);
    },
    storeLanes(f, point, value, lanes) {
      note(f, point, lanes);
      const at: I32 = i32.add(i32.shl(resultIndex(point), 2), outAt);
      if (lanes === 4) f.v128.store(at, value);
      else for (let lane = 0; lane < lanes; lane++) f.v128.store32_lane(at, value, lane, 4 * lane);
    },
    storeScalar(f, point, value) {
      note(f, point, 1);
      const at = i32.add(i32.shl(resultIndex(point), 2), outAt);
      if (value.type === "f32") f.f32.store(at, value);
      else f.i32.store(at, value);
    },
  };
  // Scratch is reserved while the function is written, operands before; the last operand ends with the memory's page.
  const layouts = { left: problem.left, right: problem.right };
  for (const [name, { size }] of Object.entries(layouts)) bases.set(name, reserve(4 * size));
  const { func, shared } = emitContract(kernel, host, options.planner);
  const part = module.func("part", ["i32"], [], (f, thread) => {
    threads?.become(f, thread);
    f.call(func);
  });
  module.export("run", func);
  module.export("part", part);
  module.export("memory", module.memory({ min: Math.ceil(end / pageBytes) }));
  const bytes = module.build();
  const api = webAssembly();
  if (api === undefined) throw new Error("there is no WebAssembly here");
  const { exports } = new api.Instance(new api.Module(bytes));
  const { buffer } = exports["memory"] as { buffer: ArrayBuffer };
  const view = (at: number, size: number): Values => {
    if (problem.dtype === "float32") return new Float32Array(buffer, at, size);
    return problem.dtype === "int32" ? new Int32Array(buffer, at, size) : new Uint32Array(buffer, at, size);
  };
  const runParts = (): void => {
    for (let thread = 0; thread < (threads?.size ?? 1); thread++) {
      // What one thread leaves in its scratch memory is not there for another.
      for (const { at, bytes: size } of scratches) new Uint8Array(buffer, at, size).fill(0xff);
      (exports["part"] as (thread: number) => void)(thread);
    }
  };
  return {
    left: view(bases.get("left") ?? 0, problem.left.size),
    right: view(bases.get("right") ?? 0, problem.right.size),
    out: view(outAt, outSize),
    stored: new Uint8Array(buffer, storedAt, outSize),
    bytes: bytes.length,
    shared,
    run: shared ? runParts : (exports["run"] as () => void),
  };
}

/** A matrix product [batch, m, k] x [batch, k, n], with operands transposed in memory. */
export function matrices(
  [m, k, n]: readonly [number, number, number],
  { batch = 1, layout = "AB" }: { readonly batch?: number; readonly layout?: "AB" | "ATB" | "ABT" | "ATBT" } = {},
): Problem {
  const [leftM, leftK] = layout.startsWith("AT") ? [1, m] : [k, 1];
  const [rightN, rightK] = layout.endsWith("BT") ? [k, 1] : [1, n];
  return {
    dtype: "float32",
    batch: [batch],
    m: [m],
    n: [n],
    k: [k],
    left: { offset: 0, strides: [m * k, leftM, 0, leftK], size: batch * m * k },
    right: { offset: 0, strides: [k * n, 0, rightN, rightK], size: batch * k * n },
  };
}
