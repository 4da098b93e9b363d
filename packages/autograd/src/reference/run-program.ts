/**
 * Runs lowered programs one point at a time: the plainest reading of the lowering library, by which it is tested without
 * any backend. Scalar operations are the interpreter's own kernels on arrays of one element.
 */
import { GraphError, ShapeError } from "../errors.ts";
import { type EquationOf, Var } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import { allocateHost, type DType, type HostArray, type Shape, sizeOf } from "../ir/tensor-type.ts";
import type { Access, LoopCounter } from "../lower/access.ts";
import { type Apply, childrenOf, type Expression, type ProgramBuffer } from "../lower/expression.ts";
import { planMemory } from "../lower/memory-plan.ts";
import type { ForLoop, Kernel, Program, RecurKernel, Step, Store, WhileLoop } from "../lower/program.ts";
import { threefry2x32 } from "../random/threefry.ts";
import { viewOf } from "./arena.ts";
import { roundAllToHalf } from "../ir/half.ts";
import { kernelTable } from "./kernels.ts";

/** Aligns temporaries as the WASM backend does. */
const ALIGNMENT = 16;

/** Fills the arena before a run, so that memory read before it is written shows: a NaN in every float. */
const GARBAGE = 0xff;

interface Machine {
  readonly memory: ReadonlyMap<ProgramBuffer, HostArray>;
  /** Makes the locals of loops unreadable. */
  readonly forget: () => void;
  readonly counters: Map<LoopCounter, number>;
}

/** The outputs of a program. Inputs are not changed. */
export function runProgram(program: Program, inputs: readonly HostArray[]): HostArray[] {
  const plan = planMemory(program, ALIGNMENT);
  // A float16 is kept in four bytes here, so every place is twice as large as planned. Locals follow what is shared.
  const arena = new Uint8Array(2 * (plan.bytes + plan.local.bytes)).fill(GARBAGE);
  const memory = new Map<ProgramBuffer, HostArray>();
  program.inputs.forEach((buffer, i) => {
    const data = inputs[i];
    if (data?.length !== buffer.size) throw new ShapeError(`runProgram: input ${i} must have ${buffer.size} elements`);
    memory.set(buffer, data);
  });
  for (const buffer of program.temporaries) {
    const local = plan.local.offsets.get(buffer);
    const offset = local === undefined ? (plan.offsets.get(buffer) ?? 0) : plan.bytes + local;
    memory.set(buffer, viewOf(arena, { offset: 2 * offset, bytes: 0 }, buffer.dtype, buffer.size));
  }
  const outputs = program.outputs.map((buffer) => {
    const data = allocateHost(buffer.dtype, buffer.size);
    memory.set(buffer, data);
    return data;
  });
  const forget = (): void => {
    arena.fill(GARBAGE, 2 * plan.bytes);
  };
  runSteps(program.steps, { memory, forget, counters: new Map<LoopCounter, number>() });
  return outputs;
}

function runSteps(steps: readonly Step[], machine: Machine): void {
  for (const step of steps) {
    if (step.kind === "while") runWhile(step, machine);
    else if (step.kind === "for") runFor(step, machine);
    else runKernel(step, machine);
  }
}

function runWhile({ test, flag, body, maxSteps }: WhileLoop, machine: Machine): void {
  for (let i = 0; i < maxSteps; i++) {
    runSteps(test, machine);
    if (memoryOf(machine, flag)[0] !== 1) return;
    runSteps(body, machine);
  }
}

function runFor({ counter, length, reverse, body, locals }: ForLoop, machine: Machine): void {
  for (let i = 0; i < length; i++) {
    machine.counters.set(counter, reverse !== (locals !== null) ? length - 1 - i : i);
    // Iterations that claim to be independent run in the other order, and find nothing of each other.
    if (locals !== null) machine.forget();
    runSteps(body, machine);
  }
}

function memoryOf({ memory }: Machine, buffer: ProgramBuffer): HostArray {
  const data = memory.get(buffer);
  if (data === undefined) throw new GraphError(`runProgram: ${buffer.name} has no memory`);
  return data;
}

function runKernel(kernel: Kernel, machine: Machine): void {
  const evaluate = evaluator(machine);
  switch (kernel.kind) {
    case "map":
      forEachPoint(kernel.shape, (point) => {
        storeAll(kernel.stores, point, 0, machine, evaluate);
      });
      return;
    case "reduce":
      forEachPoint(kernel.shape, (point) => {
        let best = kernel.combine === "sum" ? 0 : kernel.value.dtype === "bool" ? 0 : -Infinity;
        let position = 0;
        let result = 0;
        forEachPoint(kernel.reduced, (inner) => {
          const x = evaluate(kernel.value, [...point, ...inner], 0);
          const wins = x > best || (Number.isNaN(x) && !Number.isNaN(best)) || position === 0;
          if (wins) result = position;
          best = kernel.combine === "sum" ? best + x : wins ? x : best;
          position++;
        });
        storeAll(kernel.stores, point, kernel.combine === "argmax" ? result : best, machine, evaluate);
      });
      return;
    case "contract":
      forEachPoint(kernel.shape, (point) => {
        const isInteger = kernel.left.dtype === "int32" || kernel.left.dtype === "uint32";
        let sum = 0;
        forEachPoint(kernel.k, (inner) => {
          const at = [...point, ...inner];
          const [a, b] = [evaluate(kernel.left, at, 0), evaluate(kernel.right, at, 0)];
          sum = isInteger ? (sum + Math.imul(a, b)) | 0 : sum + a * b;
        });
        storeAll(kernel.stores, point, sum, machine, evaluate);
      });
      return;
    case "recur":
      runRecurrence(kernel, machine, evaluate);
      return;
    case "scatter": {
      const target = memoryOf(machine, kernel.buffer);
      forEachPoint(kernel.shape, (point) => {
        const index = evaluate(kernel.index, point, 0);
        if (index < 0 || index >= kernel.limit) return;
        const at = locate(kernel.access, point, machine) + index * kernel.stride;
        target[at] = (target[at] as number) + evaluate(kernel.value, point, 0);
      });
      return;
    }
    default:
      kernel satisfies never;
  }
}

type Evaluate = (expression: Expression, point: readonly number[], accumulated: number) => number;

function runRecurrence(
  { shape, axis, reverse, a, b, stores }: RecurKernel,
  machine: Machine,
  evaluate: Evaluate,
): void {
  const length = shape[axis] ?? 0;
  const state = allocateHost(a.dtype, 1);
  forEachPoint(
    shape.filter((_, i) => i !== axis),
    (others) => {
      state[0] = 0;
      for (let i = 0; i < length; i++) {
        const time = reverse ? length - 1 - i : i;
        const point = [...others.slice(0, axis), time, ...others.slice(axis)];
        state[0] = evaluate(a, point, 0) * state[0] + evaluate(b, point, 0);
        storeAll(stores, point, state[0], machine, evaluate);
      }
    },
  );
}

/** All values of a point, then all stores. */
function storeAll(
  stores: readonly Store[],
  point: readonly number[],
  accumulated: number,
  machine: Machine,
  evaluate: Evaluate,
): void {
  const values = stores.map(({ value }) => evaluate(value, point, accumulated));
  stores.forEach(({ buffer, access }, i) => {
    memoryOf(machine, buffer)[locate(access, point, machine)] = values[i] as number;
  });
}

function forEachPoint(shape: Shape, f: (point: readonly number[]) => void): void {
  const size = sizeOf(shape);
  const point = new Array<number>(shape.length).fill(0);
  for (let n = 0; n < size; n++) {
    f(point);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (point[axis] as number) + 1;
      point[axis] = next === shape[axis] ? 0 : next;
      if (next !== shape[axis]) break;
    }
  }
}

function locate({ offset, strides, loops }: Access, point: readonly number[], { counters }: Machine): number {
  let at = offset;
  strides.forEach((stride, axis) => {
    at += stride * (point[axis] as number);
  });
  for (const { counter, stride } of loops) at += stride * (counters.get(counter) ?? Number.NaN);
  return at;
}

/** Evaluates expressions at a point; a shared node is computed once per point. */
function evaluator(machine: Machine): Evaluate {
  const operations = new Map<Apply, (args: readonly number[]) => number>();
  const operationOf = (node: Apply): ((args: readonly number[]) => number) => {
    const known = operations.get(node) ?? scalarOperation(node);
    operations.set(node, known);
    return known;
  };
  return (root, point, accumulated) => {
    const done = new Map<Expression, number>();
    const visit = (node: Expression): number => {
      const known = done.get(node);
      if (known !== undefined) return known;
      const args = childrenOf(node).map(visit);
      const value = rounded(node.dtype, compute(node, args));
      done.set(node, value);
      return value;
    };
    const compute = (node: Expression, args: readonly number[]): number => {
      switch (node.kind) {
        case "constant":
          return node.value;
        case "read":
          return memoryOf(machine, node.buffer)[locate(node.access, point, machine)] as number;
        case "index":
          return locate(node.access, point, machine);
        case "gather": {
          const index = args[0] as number;
          const inside = index >= 0 && index < node.limit;
          const outside = node.dtype.startsWith("float") ? Number.NaN : 0;
          const at = locate(node.access, point, machine) + index * node.stride;
          return inside ? (memoryOf(machine, node.buffer)[at] as number) : outside;
        }
        case "bits": {
          const counter = locate(node.counter, point, machine);
          const [x, y] = threefry2x32(
            args[0] as number,
            args[1] as number,
            Math.floor(counter / 2 ** 32),
            counter >>> 0,
          );
          return (x ^ y) >>> 0;
        }
        case "accumulated":
          return accumulated;
        case "apply":
          return operationOf(node)(args);
        default:
          return node satisfies never;
      }
    };
    return visit(root);
  };
}

const cells: Readonly<Record<DType, HostArray>> = {
  float64: new Float64Array(1),
  float32: new Float32Array(1),
  float16: new Float32Array(1),
  int32: new Int32Array(1),
  uint32: new Uint32Array(1),
  bool: new Uint8Array(1),
};

/** What is left of a number in a register of a dtype. */
function rounded(dtype: DType, value: number): number {
  const cell = cells[dtype];
  cell[0] = value;
  if (dtype === "float16") roundAllToHalf(cell);
  return cell[0];
}

function scalarOperation(node: Apply): (args: readonly number[]) => number {
  const scalar = (dtype: DType): Var => new Var({ dtype, shape: [] });
  const params = { dtype: node.dtype, direction: node.direction ?? "eq" };
  const equation = {
    primitive: node.operation,
    params,
    inputs: node.args.map(({ dtype }) => scalar(dtype)),
    outputs: [scalar(node.dtype)],
  };
  // The kernels of these primitives read no other parameters.
  const implementation = implementScalar(equation as unknown as EquationOf<PrimitiveName>);
  const out = allocateHost(node.dtype, 1);
  const inputs = node.args.map(({ dtype }) => allocateHost(dtype, 1));
  return (args) => {
    args.forEach((value, i) => {
      (inputs[i] as HostArray)[0] = value;
    });
    if (implementation.kind !== "kernel") return args[0] as number;
    implementation.run([out], inputs);
    return out[0] as number;
  };
}

function implementScalar<P extends PrimitiveName>(equation: EquationOf<P>): ReturnType<(typeof kernelTable)[P]> {
  const rule: (typeof kernelTable)[P] = kernelTable[equation.primitive];
  const noNested = (): never => {
    throw new GraphError("runProgram: a scalar operation has no nested graph");
  };
  return rule(equation, noNested) as ReturnType<(typeof kernelTable)[P]>;
}
