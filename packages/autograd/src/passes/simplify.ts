/** Algebraic simplification: identities that hold for every value, NaN and infinities included (up to the sign of zero). */
import {
  type Atom,
  type Equation,
  type EquationOf,
  type Graph,
  isVar,
  type Literal,
  mapNestedGraphs,
  rewire,
  type Var,
} from "../ir/graph.ts";
import { sameShape, sameType, type TensorType } from "../ir/tensor-type.ts";
import { rebuild } from "./substitution.ts";

/** Finds the equation that made a value, so that a rule can look through it. */
type Origin = (atom: Atom | undefined) => Equation | undefined;

/** What an equation becomes: a value that exists already, another equation, or null to leave it. */
type Rewrite = Atom | Equation | null;

export function simplify(graph: Graph): Graph {
  const origins = new Map<Var, Equation>();
  const origin: Origin = (atom) => (atom !== undefined && isVar(atom) ? origins.get(atom) : undefined);
  return rebuild(graph, (original, substitution) => {
    let equation = mapNestedGraphs(original, simplify);
    for (let result = rewrite(equation, origin); result !== null; result = rewrite(equation, origin)) {
      if (!("primitive" in result)) {
        const [output] = equation.outputs;
        if (output !== undefined) substitution.replace(output, result);
        return [];
      }
      equation = result;
    }
    for (const v of equation.outputs) origins.set(v, equation);
    return [equation];
  });
}

/** The scalar that a value repeats in every element, if that is known. */
function splat(atom: Atom | undefined, origin: Origin): Literal | null {
  if (atom === undefined) return null;
  if (!isVar(atom)) return atom;
  const equation = origin(atom);
  const [source] = equation?.primitive === "broadcast_in_dim" ? equation.inputs : [];
  return source !== undefined && !isVar(source) ? source : null;
}

function rewrite(equation: Equation, origin: Origin): Rewrite {
  const [a, b, c] = equation.inputs;
  const is = (atom: Atom | undefined, value: number): boolean => splat(atom, origin)?.value === value;
  switch (equation.primitive) {
    case "add":
      return keep(is(a, 0), b) ?? keep(is(b, 0), a);
    case "sub":
      return keep(is(b, 0), a);
    case "mul":
      return keep(is(a, 1), b) ?? keep(is(b, 1), a);
    case "div":
      return keep(is(b, 1), a);
    case "neg":
    case "not":
      return undone(equation, origin);
    case "select":
      return keep(b === c || is(a, 1), b) ?? keep(is(a, 0), c);
    case "and":
      return keep(is(a, 1) || a === b, b) ?? keep(is(b, 1), a);
    case "or":
      return keep(is(a, 0) || a === b, b) ?? keep(is(b, 0), a);
    case "convert_element_type":
    case "reshape":
    case "transpose":
    case "broadcast_in_dim":
    case "slice":
    case "pad":
    case "concatenate":
    case "reduce_sum":
    case "reduce_max":
      return moved(equation, origin);
    default:
      return null;
  }
}

function keep(holds: boolean, atom: Atom | undefined): Atom | null {
  return holds && atom !== undefined ? atom : null;
}

/** f(f(x)) = x. */
function undone(equation: Equation, origin: Origin): Rewrite {
  const [x] = equation.inputs;
  const inner = origin(x);
  return inner?.primitive === equation.primitive ? (inner.inputs[0] ?? null) : null;
}

/** Movements, conversions and reductions that move nothing, and chains that are one movement. */
function moved(equation: Equation, origin: Origin): Rewrite {
  const [[x], [y]] = [equation.inputs, equation.outputs];
  if (x === undefined || y === undefined) return null;
  if (isIdentity(equation, x.type, y.type)) return x;
  const inner = origin(x);
  if (equation.primitive === "reshape" && inner?.primitive === "reshape") {
    return rewire(equation, inner.inputs, equation.outputs);
  }
  if (equation.primitive === "transpose" && inner?.primitive === "transpose") return composeTransposes(equation, inner);
  if (equation.primitive === "broadcast_in_dim" && inner?.primitive === "broadcast_in_dim") {
    const dims = inner.params.dims.map((dim) => equation.params.dims[dim] ?? 0);
    return { ...equation, params: { shape: equation.params.shape, dims }, inputs: inner.inputs };
  }
  return equation.primitive === "reshape" ? reshapedSplat(equation, origin) : null;
}

function isIdentity(equation: Equation, from: TensorType, to: TensorType): boolean {
  if (!sameType(from, to)) return false;
  switch (equation.primitive) {
    case "transpose":
      return equation.params.permutation.every((axis, i) => axis === i);
    case "concatenate":
      return equation.inputs.length === 1;
    case "pad":
      return [equation.params.low, equation.params.high, equation.params.interior].every((list) =>
        list.every((n) => n === 0),
      );
    case "reduce_sum":
    case "reduce_max":
      return equation.params.axes.length === 0;
    default:
      return true;
  }
}

function composeTransposes(outer: EquationOf<"transpose">, inner: EquationOf<"transpose">): Equation {
  const permutation = outer.params.permutation.map((axis) => inner.params.permutation[axis] ?? 0);
  return { ...outer, params: { permutation }, inputs: inner.inputs };
}

/** A reshaped constant is the constant, repeated to the new shape. */
function reshapedSplat(equation: EquationOf<"reshape">, origin: Origin): Rewrite {
  const value = splat(equation.inputs[0], origin);
  if (value === null || sameShape(equation.params.shape, [])) return null;
  return {
    ...equation,
    primitive: "broadcast_in_dim",
    params: { shape: equation.params.shape, dims: [] },
    inputs: [value],
  };
}
