/** Faults planted in kernels: a backend whose programs compute one primitive in another way. */
import type { Graph } from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import { greater, logistic, mul, neg, where } from "../../ops/elementwise.ts";
import { linearRecurrence } from "../../ops/recurrence.ts";
import { pad, reshape, slice, sliceAxis, transpose } from "../../ops/movement.ts";
import type { Backend } from "../../runtime/backend.ts";
import { emit, emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import { replacePrimitive, type Replacement } from "../graph-tools.ts";
import type { KernelFault } from "./fault.ts";

function fault<P extends PrimitiveName>(name: string, primitive: P, replacement: Replacement<P>): KernelFault {
  return { layer: "kernel", name, primitive, plant: (graph: Graph) => replacePrimitive(graph, primitive, replacement) };
}

/** The right result, changed. */
function altered<P extends PrimitiveName>(name: string, primitive: P, change: (result: Tracer) => Tracer): KernelFault {
  return fault(name, primitive, (inputs, params) => emit(primitive, inputs, params).map(change));
}

/** Delays by a step along the axis. */
function later(x: Tracer, axis: number): Tracer {
  const size = x.dim(axis);
  if (size === 0) return x;
  return pad(
    sliceAxis(x, axis, 0, size - 1),
    x.shape.map((_, i): readonly [number, number] => [i === axis ? 1 : 0, 0]),
  );
}

type Recurrence = Replacement<"linear_recurrence">;

function recurrence(change: (a: Tracer, b: Tracer, axis: number, reverse: boolean) => Tracer): Recurrence {
  return ([a, b], { axis, reverse }) => (a && b ? [change(a, b, axis, reverse)] : []);
}

export const kernelFaults: readonly KernelFault[] = [
  altered("flipped sign", "sin", neg),
  altered("3 % scale", "logistic", (y) => mul(y, 1.03)),
  altered("0.1 % scale", "reduce_sum", (y) => (y.dtype === "float32" || y.dtype === "float64" ? mul(y, 1.001) : y)),
  fault("missing term", "dot_general", ([a, b], params) => {
    if (!a || !b) return [];
    const [[axis], [other]] = [params.contracting[0], params.contracting[1]];
    if (axis === undefined || other === undefined || a.dim(axis) < 2) return [emit1("dot_general", [a, b], params)];
    const all = a.dim(axis);
    const [fewer, less] = [sliceAxis(a, axis, 0, all - 1), sliceAxis(b, other, 0, all - 1)];
    return [emit1("dot_general", [fewer, less], params)];
  }),
  fault("transposed weight", "dot_general", ([a, b], params) => {
    if (!a || !b) return [];
    const isSquare = b.rank === 2 && b.dim(0) === b.dim(1);
    return [emit1("dot_general", [a, isSquare ? transpose(b) : b], params)];
  }),
  fault(
    "off-by-one time shift",
    "linear_recurrence",
    recurrence((a, b, axis, reverse) => linearRecurrence(later(a, axis), b, { axis, reverse })),
  ),
  fault(
    "dropped boundary step",
    "linear_recurrence",
    recurrence((a, b, axis, reverse) => {
      const h = linearRecurrence(a, b, { axis, reverse });
      const size = h.dim(axis);
      if (size === 0) return h;
      return pad(
        sliceAxis(h, axis, 0, size - 1),
        h.shape.map((_, i): readonly [number, number] => [0, i === axis ? 1 : 0]),
      );
    }),
  ),
  fault(
    "swapped reverse",
    "linear_recurrence",
    recurrence((a, b, axis, reverse) => linearRecurrence(a, b, { axis, reverse: !reverse })),
  ),
  fault("swapped reverse of a loop", "scan", (inputs, params) =>
    emit("scan", inputs, { ...params, reverse: !params.reverse }),
  ),
  fault("NaN swallowed", "max", ([a, b]) => (a && b ? [where(greater(a, b), a, b)] : [])),
  fault("accumulated twice", "scatter_add", ([x, indices, updates], params) => {
    if (!x || !indices || !updates) return [];
    const once = emit1("scatter_add", [x, indices, updates], params);
    return [emit1("scatter_add", [once, indices, updates], params)];
  }),
  fault("wrong axis of a broadcast", "broadcast_in_dim", ([x], { shape, dims }) => {
    if (!x) return [];
    const y = emit1("broadcast_in_dim", [x], { shape, dims });
    const isSingle = x.rank === 2 && x.dim(1) === 1 && shape.length === 2 && !shape.includes(0);
    // The first row for all rows.
    return [isSingle ? emit1("broadcast_in_dim", [reshape(slice(x, [[0, 1]]), [1, 1])], { shape, dims: [0, 1] }) : y];
  }),
  altered("wrong in the tail", "tanh", (y) => where(greater(mul(y, y), 0.9999), logistic(mul(y, 1e4)), y)),
];

/** A backend with one kernel replaced. */
export function withFault(backend: Backend, { plant, name }: KernelFault): Backend {
  return {
    name: `${backend.name} with a planted fault (${name})`,
    limits: backend.limits,
    lost: backend.lost,
    compile: (graph, options) => backend.compile(plant(graph), options),
    write: (data, type) => backend.write(data, type),
    read: (buffer) => backend.read(buffer),
    synchronize: () => backend.synchronize(),
    memory: () => backend.memory(),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}
