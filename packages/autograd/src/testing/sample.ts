/** What a sample is: one application of a primitive, as data. Samples serve inference, printing, conformance and the audit. */
import { type EquationOf, type Equation, type Graph, Var } from "../ir/graph.ts";
import { infer } from "../ir/infer.ts";
import type { PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import type { DType, HostArray, Shape, TensorType } from "../ir/tensor-type.ts";
import { closeOver, traceOpen } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { type Domain, generate, integers, normal } from "./data.ts";

/** One operand: its type and where its elements lie. */
export interface SampleInput {
  readonly type: TensorType;
  readonly domain: Domain;
}

/** What the sample is there for. */
export type SampleClass =
  | ("scalar" | "empty" | "one" | "odd" | "large" | "broadcast" | "reverse")
  /** Time or loop of no step, of one step, batch of one. */
  | ("T=0" | "T=1" | "B=1")
  /** Kinks, ties, zeros: where a rule follows a convention. */
  | "edge"
  /** NaN, infinities, zeros of both signs, denormals, the largest floats. */
  | "special"
  | "integer"
  | "nested";

export interface SampleOf<Params> {
  readonly name: string;
  readonly class: SampleClass;
  readonly params: Params;
  readonly inputs: readonly SampleInput[];
  /** Operands to differentiate by; default every float operand. None: the sample is no evidence about a gradient. */
  readonly wrt?: readonly number[];
  /**
   * `kink`: the rule returns the mean of both sides, which only differences know. `once`: the second derivative does not
   * exist or follows no convention.
   */
  readonly regularity?: "kink" | "once";
}

export type Sample<P extends PrimitiveName> = SampleOf<PrimitiveParams[P]>;

export type SampleTable = { readonly [P in PrimitiveName]: readonly Sample<P>[] };

type Options = Pick<SampleOf<unknown>, "wrt" | "regularity">;

/** A sample named after its class and the shapes of its operands. */
export function sample<P extends PrimitiveName>(
  kind: SampleClass,
  params: PrimitiveParams[P],
  inputs: readonly SampleInput[],
  options: Options & { readonly name?: string } = {},
): Sample<P> {
  const shapes = inputs.map(({ type }) => `[${type.shape.join(",")}]`).join("");
  const name = `${kind}${options.name === undefined ? "" : ` ${options.name}`} ${shapes}`.trim();
  return { ...options, name, class: kind, params, inputs };
}

const input =
  (dtype: DType, byDefault: Domain) =>
  (shape: Shape, domain: Domain = byDefault): SampleInput => ({ type: { dtype, shape }, domain });

type MakeInput = (shape: Shape, domain?: Domain) => SampleInput;

export const f32: MakeInput = input("float32", normal());
export const i32: MakeInput = input("int32", integers(-9, 9));
export const u32: MakeInput = input("uint32", integers(0, 9));
export const bool: MakeInput = input("bool", integers(0, 1));

/** The graph of a function of tensors, for the primitives that carry graphs. It must not use values from outside. */
export function graphOf(types: readonly TensorType[], f: (args: readonly Tracer[]) => readonly Tracer[]): Graph {
  return closeOver(traceOpen(types, f).graph).graph;
}

/** The graph that applies the primitive once. */
export function sampleGraph<P extends PrimitiveName>(primitive: P, { params, inputs }: Sample<P>): Graph {
  const operands = inputs.map(({ type }) => new Var(type));
  const types = inputs.map(({ type }) => type);
  const outputs = infer(primitive, types, params).map((type) => new Var(type));
  const equation: EquationOf<P> = { primitive, params, inputs: operands, outputs };
  // EquationOf<P> for a P not yet known is the union's member for it; the compiler cannot see that.
  return { inputs: operands, equations: [equation as unknown as Equation], outputs };
}

/** The operands of a sample under a seed. */
export function sampleData(inputs: readonly SampleInput[], seed: number): HostArray[] {
  return inputs.map(({ type, domain }, i) => generate(type, domain, seed, i));
}
