/**
 * Sums out of loops: where a scan only adds contractions or reductions of each step to a carry, as gradients of constants
 * do, the operands are stacked over time instead and contracted once after the loop.
 */
import { type Atom, type Equation, type EquationOf, type Graph, isVar, mapNestedGraphs, Var } from "../ir/graph.ts";
import { inferEquation } from "../ir/infer.ts";
import type { PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import { rebuild } from "./substitution.ts";

export function hoistSums(graph: Graph): Graph {
  return rebuild(graph, (original, substitution) => {
    const equation = mapNestedGraphs(original, hoistSums);
    if (equation.primitive !== "scan") return [equation];
    const hoisted = hoistFrom(equation);
    if (hoisted === null) return [equation];
    hoisted.results.forEach((by, v) => {
      substitution.replace(v, by);
    });
    return hoisted.equations;
  });
}

type Scan = EquationOf<"scan">;

/** A value of the loop's body, summed over all steps after the loop. */
type Total = (build: Builder) => Var;

/** The equations after the loop, and what the loop must stack for them. */
class Builder {
  readonly equations: Equation[] = [];
  /** Values of the body to be stacked, and the stacked values. */
  readonly stacks = new Map<Var, Var>();
  private readonly scan: Scan;

  constructor(scan: Scan) {
    this.scan = scan;
  }

  /** A value of every step, [length, ...]: an input or a result that is stacked already, or a new result of the loop. */
  stacked(v: Var): Atom {
    const { body, consts, carry, length } = this.scan.params;
    const input = body.inputs.indexOf(v, consts + carry);
    const output = body.outputs.indexOf(v, carry);
    const given = input === -1 ? this.scan.outputs[output] : this.scan.inputs[input];
    if (given !== undefined) return given;
    const known = this.stacks.get(v) ?? new Var({ dtype: v.type.dtype, shape: [length, ...v.type.shape] });
    this.stacks.set(v, known);
    return known;
  }

  emit<P extends PrimitiveName>(primitive: P, params: PrimitiveParams[P], inputs: readonly Atom[]): Var {
    const open = { primitive, params, inputs, outputs: [] };
    const [type] = inferEquation<P>(open);
    if (type === undefined) throw new RangeError(`${primitive} has no result`);
    const result = new Var(type);
    // The pairing of primitive and params is the caller's; the union cannot be built from a type parameter.
    this.equations.push({ ...open, outputs: [result] } as unknown as Equation);
    return result;
  }
}

function hoistFrom(
  scan: Scan,
): { readonly equations: readonly Equation[]; readonly results: ReadonlyMap<Var, Var> } | null {
  const { body, consts, carry } = scan.params;
  const origins = new Map(body.equations.flatMap((equation) => equation.outputs.map((v) => [v, equation] as const)));
  const uses = countUses(body);
  const builder = new Builder(scan);
  const results = new Map<Var, Var>();
  const gone = new Set<number>();
  for (let i = 0; i < carry; i++) {
    const [entering, leaving, last, initial] = [
      body.inputs[consts + i],
      body.outputs[i],
      scan.outputs[i],
      scan.inputs[consts + i],
    ];
    if (!entering || !leaving || !last || !initial || uses.get(entering) !== 1) continue;
    const total = totalOf(leaving, entering, { origins, uses }, new Set(body.inputs.slice(0, consts + carry)));
    if (total === null) continue;
    results.set(last, builder.emit("add", {}, [initial, total(builder)]));
    gone.add(i);
  }
  return gone.size === 0 ? null : { equations: [withoutCarries(scan, gone, builder), ...builder.equations], results };
}

function countUses(graph: Graph): Uses {
  const uses = new Map<Atom, number>();
  for (const atom of [...graph.equations.flatMap(({ inputs }) => inputs), ...graph.outputs]) {
    uses.set(atom, (uses.get(atom) ?? 0) + 1);
  }
  return uses;
}

type Origins = ReadonlyMap<Var, Equation>;
type Uses = ReadonlyMap<Atom, number>;

/** The sum over all steps of what is added to the carry, or null if it is more than sums of contractions and reductions. */
function totalOf(
  leaving: Atom,
  entering: Var,
  { origins, uses }: { readonly origins: Origins; readonly uses: Uses },
  fixed: ReadonlySet<Var>,
): Total | null {
  const terms = termsOf(leaving, origins, uses);
  if (terms.length < 2 || terms.filter((term) => term === entering).length !== 1) return null;
  const totals = terms.filter((term) => term !== entering).map((term) => termTotal(term, origins, fixed));
  if (!totals.every((total) => total !== null)) return null;
  return (builder) => totals.map((total) => total(builder)).reduce((a, b) => builder.emit("add", {}, [a, b]));
}

/** The summands of a tree of additions. A sum that is read elsewhere too is a summand: it has to be computed anyway. */
function termsOf(atom: Atom, origins: Origins, uses: Uses): readonly Atom[] {
  const equation = isVar(atom) && uses.get(atom) === 1 ? origins.get(atom) : undefined;
  return equation?.primitive === "add" ? equation.inputs.flatMap((input) => termsOf(input, origins, uses)) : [atom];
}

/** The total of one term: a contraction or a sum, perhaps moved about, of values that change from step to step. */
function termTotal(term: Atom, origins: Origins, fixed: ReadonlySet<Var>): Total | null {
  const equation = isVar(term) ? origins.get(term) : undefined;
  if (equation === undefined) return null;
  const [x, y] = equation.inputs;
  const later = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);
  switch (equation.primitive) {
    case "transpose":
    case "reshape": {
      const inner = x === undefined ? null : termTotal(x, origins, fixed);
      return inner && ((builder) => builder.emit(equation.primitive, equation.params, [inner(builder)]));
    }
    case "reduce_sum": {
      const axes = [0, ...later(equation.params.axes)];
      return x && isVar(x) && !fixed.has(x)
        ? (builder) => builder.emit("reduce_sum", { axes }, [builder.stacked(x)])
        : null;
    }
    case "dot_general": {
      const { contracting, batch } = equation.params;
      const plain = batch[0].length === 0 && x && y && isVar(x) && isVar(y) && !fixed.has(x) && !fixed.has(y);
      if (!plain) return null;
      const pairs = [
        [0, ...later(contracting[0])],
        [0, ...later(contracting[1])],
      ] as const;
      return (builder) =>
        builder.emit("dot_general", { contracting: pairs, batch }, [builder.stacked(x), builder.stacked(y)]);
    }
    default:
      return null;
  }
}

/** The loop without the carries that have become sums, and with the values that the sums need stacked. */
function withoutCarries(scan: Scan, gone: ReadonlySet<number>, { stacks }: Builder): Equation {
  const { body, consts, carry } = scan.params;
  const keptInput = (i: number): boolean => !gone.has(i - consts);
  const keptOutput = (i: number): boolean => !gone.has(i);
  return {
    primitive: "scan",
    params: {
      ...scan.params,
      body: {
        inputs: body.inputs.filter((_, i) => keptInput(i)),
        equations: body.equations,
        outputs: [...body.outputs.filter((_, i) => keptOutput(i)), ...stacks.keys()],
      },
      carry: carry - gone.size,
    },
    inputs: scan.inputs.filter((_, i) => keptInput(i)),
    outputs: [...scan.outputs.filter((_, i) => keptOutput(i)), ...stacks.values()],
  };
}
