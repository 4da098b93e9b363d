/** A graph: typed single-assignment equations over primitives. Immutable once built; names exist only when printed. */
import { DTypeError } from "../errors.ts";
import { roundToHalf } from "./half.ts";
import type { PrimitiveName, PrimitiveParams } from "./primitives.ts";
import { type DType, formatType, type TensorType } from "./tensor-type.ts";

/** A value, identified by object identity. */
export class Var {
  /** Tells the compiler apart what is otherwise shaped like a literal. */
  readonly kind: "var" = "var" as const;
  readonly type: TensorType;

  constructor(type: TensorType) {
    this.type = type;
  }
}

/** A scalar constant; booleans are 0 and 1. */
export interface Literal {
  readonly type: TensorType;
  readonly value: number;
}

export type Atom = Var | Literal;

export interface EquationOf<P extends PrimitiveName> {
  readonly primitive: P;
  readonly params: PrimitiveParams[P];
  readonly inputs: readonly Atom[];
  readonly outputs: readonly Var[];
}

export type Equation = { [P in PrimitiveName]: EquationOf<P> }[PrimitiveName];

export interface Graph {
  readonly inputs: readonly Var[];
  readonly equations: readonly Equation[];
  readonly outputs: readonly Atom[];
}

export function isVar(atom: Atom): atom is Var {
  return atom instanceof Var;
}

/** A scalar literal, rounded to what its dtype can hold. Throws DTypeError for a fraction in an integer type. */
export function literal(dtype: DType, value: number | boolean): Literal {
  return { type: { dtype, shape: [] }, value: roundTo(dtype, Number(value)) };
}

function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "float64":
      return value;
    case "float32":
      return Math.fround(value);
    case "float16":
      return roundToHalf(value);
    case "int32":
    case "uint32": {
      const held = dtype === "int32" ? value | 0 : value >>> 0;
      if (held !== value) {
        throw new DTypeError(
          `${value} is not an ${formatType({ dtype, shape: [] })}; convert the other operand to a float`,
        );
      }
      return held;
    }
    case "bool":
      return value === 0 ? 0 : 1;
    default:
      return dtype satisfies never;
  }
}

/** Every graph nested in an equation's parameters, with the name of the parameter. */
export function nestedGraphs(equation: Equation): readonly (readonly [string, Graph])[] {
  switch (equation.primitive) {
    case "custom_vjp_call":
      return [
        ["primal", equation.params.primal],
        ["forward", equation.params.forward],
        ["backward", equation.params.backward],
      ];
    case "scan":
      return [["body", equation.params.body]];
    case "while":
      return [
        ["cond", equation.params.cond],
        ["body", equation.params.body],
      ];
    default:
      return [];
  }
}

/** The equation with each nested graph replaced; the same object when none changes. */
export function mapNestedGraphs(equation: Equation, f: (graph: Graph) => Graph): Equation {
  switch (equation.primitive) {
    case "custom_vjp_call": {
      const { primal, forward, backward } = equation.params;
      const params = { ...equation.params, primal: f(primal), forward: f(forward), backward: f(backward) };
      const same = params.primal === primal && params.forward === forward && params.backward === backward;
      return same ? equation : { ...equation, params };
    }
    case "scan": {
      const body = f(equation.params.body);
      return body === equation.params.body ? equation : { ...equation, params: { ...equation.params, body } };
    }
    case "while": {
      const cond = f(equation.params.cond);
      const body = f(equation.params.body);
      const same = cond === equation.params.cond && body === equation.params.body;
      return same ? equation : { ...equation, params: { ...equation.params, cond, body } };
    }
    default:
      return equation;
  }
}

/** The equation with its operands and results replaced; parameters are kept. */
export function rewire(equation: Equation, inputs: readonly Atom[], outputs: readonly Var[]): Equation {
  const { primitive, params } = equation;
  // Written out: to V8, what a spread makes is of another shape in every place and after every pass, and all code that
  // sees equations is slow then. Replacing atoms by atoms of the same types keeps the pairing of primitive and params.
  return { primitive, params, inputs, outputs } as Equation;
}
