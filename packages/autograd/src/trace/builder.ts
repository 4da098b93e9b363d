/** Builders: the stack of open traces, and `emit`, by which every operation appends one checked equation. */
import { GraphError, TraceError } from "../errors.ts";
import type { ConcreteArray } from "../ir/concrete-array.ts";
import { type Atom, type Equation, type EquationOf, type Graph, isVar, literal, rewire, Var } from "../ir/graph.ts";
import { infer } from "../ir/infer.ts";
import type { PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import type { DType, TensorType } from "../ir/tensor-type.ts";
import { Tracer } from "./tracer.ts";

/** Collects the equations of one trace. Inner traces may use values of the outer ones that are still open. */
export class Builder {
  readonly parent: Builder | null;
  readonly inputs: readonly Tracer[];
  readonly equations: Equation[] = [];
  /** Arrays that the function closed over; each is an extra input of the outermost graph. */
  readonly captured: Map<ConcreteArray, Tracer> = new Map<ConcreteArray, Tracer>();
  private closed = false;

  constructor(parent: Builder | null, types: readonly TensorType[]) {
    this.parent = parent;
    this.inputs = types.map((type) => new Tracer(new Var(type), this));
  }

  get isOpen(): boolean {
    return !this.closed;
  }

  close(): void {
    this.closed = true;
  }
}

let current: Builder | null = null;

/** True while a function is being traced. */
export function isTracing(): boolean {
  return current !== null;
}

function requireBuilder(what: string): Builder {
  if (current === null) {
    throw new TraceError(`${what}: called outside a traced function; call it inside jit(f, ...) or device.run(f, ...)`);
  }
  return current;
}

/** Values that a graph uses without defining them: the captures of an inner trace. */
export interface OpenGraph {
  readonly graph: Graph;
  /** Concrete arrays captured; only the outermost trace has any. */
  readonly captured: readonly (readonly [ConcreteArray, Tracer])[];
}

/**
 * Runs `f` on fresh inputs and returns its equations. The graph may use values of outer traces (see `closeOver`).
 * `f` must be synchronous; throws TraceError otherwise.
 */
export function traceOpen(
  types: readonly TensorType[],
  f: (inputs: readonly Tracer[]) => readonly Tracer[],
): OpenGraph {
  const builder = new Builder(current, types);
  current = builder;
  try {
    const outputs = f(builder.inputs).map((x) => useIn(builder, "a traced function's result", x));
    const inputs = builder.inputs.map(varOf);
    return { graph: { inputs, equations: builder.equations, outputs }, captured: [...builder.captured] };
  } finally {
    builder.close();
    current = builder.parent;
  }
}

/** The variable behind a traced input. */
export function varOf(x: Tracer): Var {
  if (isVar(x.atom)) return x.atom;
  throw new GraphError("a literal cannot be an input of a graph");
}

/** Checks that `x` may be used in `builder`: its trace is that one, or encloses it and is still open. */
function useIn(builder: Builder, what: string, x: Tracer): Atom {
  if (!(x instanceof Tracer)) throw new TraceError(`${what}: expected a traced tensor, got ${describe(x)}`);
  if (x.builder === null || x.builder === builder || x.builder.isOpen) return x.atom;
  throw new TraceError(
    `${what}: ${x.toString()} belongs to a trace that has ended; return it from the traced function instead of keeping it in a variable`,
  );
}

function describe(value: unknown): string {
  return value instanceof Promise
    ? "a Promise; traced functions must be synchronous"
    : `${typeof value} ${String(value)}`;
}

/** Appends one equation to the open trace and returns its results. Throws what inference throws. */
export function emit<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Tracer[],
  params: PrimitiveParams[P],
): readonly Tracer[] {
  const builder = requireBuilder(primitive);
  const atoms = inputs.map((x) => useIn(builder, primitive, x));
  const types = infer(
    primitive,
    atoms.map((atom) => atom.type),
    params,
  );
  const equation: EquationOf<P> = { primitive, params, inputs: atoms, outputs: types.map((type) => new Var(type)) };
  // EquationOf<P> for a P not yet known is the union's member for it; the compiler cannot see that.
  builder.equations.push(equation as unknown as Equation);
  return equation.outputs.map((v) => new Tracer(v, builder));
}

/** Appends one equation with exactly one result. */
export function emit1<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Tracer[],
  params: PrimitiveParams[P],
): Tracer {
  const [result] = emit(primitive, inputs, params);
  if (result === undefined) throw new GraphError(`${primitive} has no result`);
  return result;
}

/** A scalar constant as a tracer. */
export function literalTracer(dtype: DType, value: number | boolean): Tracer {
  return new Tracer(literal(dtype, value), null);
}

/** A concrete array as a tracer: an extra input of the outermost graph, the same one on every use. */
export function capture(array: ConcreteArray): Tracer {
  let root = requireBuilder("constant");
  while (root.parent !== null) root = root.parent;
  const known = root.captured.get(array);
  if (known !== undefined) return known;
  const tracer = new Tracer(new Var(array.type), root);
  root.captured.set(array, tracer);
  return tracer;
}

/** Maps the values of a graph to tracers of the open trace while it is copied there. */
export class Environment {
  private readonly tracers = new Map<Var, Tracer>();

  set(v: Var, tracer: Tracer): void {
    this.tracers.set(v, tracer);
  }

  /** The tracer for an atom; a value of an enclosing trace stands for itself. */
  get(atom: Atom): Tracer {
    if (!isVar(atom)) return new Tracer(atom, null);
    return this.tracers.get(atom) ?? new Tracer(atom, current);
  }
}

/** Copies one equation into the open trace, its operands looked up in `environment` and its results recorded there. */
export function copyEquation<P extends PrimitiveName>(equation: EquationOf<P>, environment: Environment): void {
  const builder = requireBuilder(equation.primitive);
  const inputs = equation.inputs.map((atom) => environment.get(atom).atom);
  const outputs = equation.outputs.map((v) => new Var(v.type));
  builder.equations.push(rewire(equation as unknown as Equation, inputs, outputs));
  equation.outputs.forEach((v, i) => {
    const copy = outputs[i];
    if (copy !== undefined) environment.set(v, new Tracer(copy, builder));
  });
}

/** Copies a whole graph into the open trace, applied to `args`. */
export function inlineGraph(graph: Graph, args: readonly Tracer[]): readonly Tracer[] {
  const environment = new Environment();
  graph.inputs.forEach((v, i) => {
    const arg = args[i];
    if (arg === undefined)
      throw new GraphError(`a graph of ${graph.inputs.length} inputs was applied to ${args.length}`);
    environment.set(v, arg);
  });
  for (const equation of graph.equations) copyEquation(equation, environment);
  return graph.outputs.map((atom) => environment.get(atom));
}

/** Closes an inner graph: the outer values it uses become its first inputs, and are returned in that order. */
export function closeOver(graph: Graph): { readonly graph: Graph; readonly captures: readonly Tracer[] } {
  const defined = new Set<Var>(graph.inputs);
  const free = new Map<Var, Var>();
  const resolve = (atom: Atom): Atom => {
    if (!isVar(atom) || defined.has(atom)) return atom;
    const known = free.get(atom);
    if (known !== undefined) return known;
    const input = new Var(atom.type);
    free.set(atom, input);
    return input;
  };
  const equations = graph.equations.map((equation) => {
    const inputs = equation.inputs.map(resolve);
    for (const v of equation.outputs) defined.add(v);
    return rewire(equation, inputs, equation.outputs);
  });
  const outputs = graph.outputs.map(resolve);
  return {
    graph: { inputs: [...free.values(), ...graph.inputs], equations, outputs },
    captures: [...free.keys()].map((v) => new Tracer(v, current)),
  };
}
