/** What a run of a graph has to do, as it is lowered for the backend. */
import {
  type Access,
  expressionsOf,
  type ForLoop,
  forWorkgroups,
  type Graph,
  isKernel,
  type Kernel,
  lower,
  nestedGraphs,
  type Program,
  type ProgramBuffer,
  readBy,
  sizeOf,
  type Step,
  visitExpression,
  visitSteps,
  workOf,
  writtenBy,
} from "@banach/autograd/backend";

export interface Estimate {
  /** Equations of primitives in the graph, those of bodies counted once. */
  readonly equations: number;
  /** The same, bodies counted as often as they run. */
  readonly executed: number;
  /** Kernels that run. */
  readonly kernels: number;
  /** Read and written by them, each buffer of a kernel once. */
  readonly bytes: number;
  /** In additions; of products the multiplications as well. Null where a loop decides in another one when to stop. */
  readonly operations: number | null;
}

/** @param loopSteps iterations of the outermost whiles, in program order; one each where there are none */
export function estimate(graph: Graph, loopSteps: readonly number[] = []): Estimate {
  const left = [...loopSteps];
  return {
    equations: equationsIn(graph),
    executed: executedIn(graph, [...loopSteps]),
    ...kernelsIn(lower(graph, forWorkgroups()), left),
  };
}

function equationsIn(graph: Graph): number {
  return graph.equations.reduce(
    (sum, equation) => sum + (nestedGraphs(equation).reduce((inner, [, body]) => inner + equationsIn(body), 0) || 1),
    0,
  );
}

function executedIn(graph: Graph, loopSteps: number[]): number {
  return graph.equations.reduce((sum, equation) => {
    const nested = nestedGraphs(equation);
    if (nested.length === 0) return sum + 1;
    const times =
      equation.primitive === "scan"
        ? equation.params.length
        : equation.primitive === "while"
          ? (loopSteps.shift() ?? 1)
          : 1;
    return sum + times * nested.reduce((inner, [, body]) => inner + executedIn(body, loopSteps), 0);
  }, 0);
}

type Totals = Pick<Estimate, "kernels" | "bytes" | "operations">;

function kernelsIn({ steps }: Program, loopSteps: number[]): Totals {
  const totals = { kernels: 0, bytes: 0 };
  let operations: number | null = 0;
  const visit = (inner: readonly Step[], times: number, loop: { outermost: boolean; region: boolean }): void => {
    for (const step of inner) {
      if (isKernel(step)) {
        operations = operations === null ? null : operations + times * workOf(step);
        if (loop.region) continue;
        totals.kernels += times;
        totals.bytes += times * sum(touchedBy(step).values());
      } else if (step.kind === "for") {
        // Iterations that run at once are one kernel, and what belongs to each of them never leaves it.
        const isRegion = step.locals !== null && !loop.region;
        if (isRegion) {
          totals.kernels += times;
          totals.bytes += times * sum(touchedByRegion(step, new Set(step.locals)).values());
        }
        visit(step.body, times * step.length, { ...loop, region: loop.region || isRegion });
      } else {
        const made = loop.outermost ? loopSteps.shift() : undefined;
        if (made === undefined) operations = null;
        const within = { ...loop, outermost: false };
        visit(step.test, times * ((made ?? 1) + 1), within);
        visit(step.body, times * (made ?? 1), within);
      }
    }
  };
  visit(steps, 1, { outermost: true, region: false });
  return { ...totals, operations };
}

const sum = (values: Iterable<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

const bytesPerElement = (dtype: ProgramBuffer["dtype"]): number =>
  dtype === "float16" ? 2 : dtype === "float64" ? 8 : 4;

/** Bytes of each buffer that one run of a kernel reads or writes, those that are touched again counted once. */
function touchedBy(kernel: Kernel): ReadonlyMap<ProgramBuffer, number> {
  const touched = new Map<ProgramBuffer, number>();
  const touch = (buffer: ProgramBuffer, points: number): void => {
    const bytes = Math.min(points, buffer.size) * bytesPerElement(buffer.dtype);
    touched.set(buffer, Math.max(touched.get(buffer) ?? 0, bytes));
  };
  const inner = kernel.kind === "reduce" ? kernel.reduced : kernel.kind === "contract" ? kernel.k : [];
  const space = [...kernel.shape, ...inner];
  const pointsOf = ({ strides }: Access): number =>
    strides.reduce((points, stride, axis) => points * (stride === 0 ? 1 : (space[axis] ?? 1)), 1);
  for (const root of expressionsOf(kernel)) {
    visitExpression(root, (node) => {
      if (node.kind === "read") touch(node.buffer, pointsOf(node.access));
      if (node.kind === "gather") touch(node.buffer, sizeOf(space) * node.stride);
    });
  }
  if (kernel.kind === "scatter") touch(kernel.buffer, sizeOf(space) * kernel.stride);
  else for (const { buffer, access } of kernel.stores) touch(buffer, pointsOf(access));
  return touched;
}

/** The same of all iterations of a loop: whole buffers, but for its own. */
function touchedByRegion(loop: ForLoop, own: ReadonlySet<ProgramBuffer>): ReadonlyMap<ProgramBuffer, number> {
  const touched = new Map<ProgramBuffer, number>();
  visitSteps(loop.body, (step) => {
    if (!isKernel(step)) return;
    for (const buffer of [...readBy(step), ...writtenBy(step)]) {
      if (!own.has(buffer)) touched.set(buffer, buffer.size * bytesPerElement(buffer.dtype));
    }
  });
  return touched;
}
