/** The text of a program: kernels with their loop nests, what they read and write, and what they cost. */
import { byteLengthOf, type Shape } from "../ir/tensor-type.ts";
import type { Access } from "./access.ts";
import { childrenOf, type Expression, type ProgramBuffer, visitExpression } from "./expression.ts";
import {
  expressionsOf,
  type ForLoop,
  type Kernel,
  type Program,
  readBy,
  type Step,
  type Store,
  workOf,
  writtenBy,
} from "./program.ts";

/** For reading; there is no parser. Byte counts take each buffer of a kernel once. */
export function printProgram(program: Program): string {
  const declare = ({ name, dtype, size }: ProgramBuffer): string => `${name}: ${dtype}[${size}]`;
  return [
    `program(${program.inputs.map(declare).join(", ")}) -> (${program.outputs.map(declare).join(", ")}) {`,
    ...program.steps.flatMap((step) => printStep(step, "  ")),
    "}",
  ].join("\n");
}

function printStep(step: Step, indent: string): readonly string[] {
  const nested = (steps: readonly Step[]): readonly string[] =>
    steps.flatMap((inner) => printStep(inner, `${indent}  `));
  switch (step.kind) {
    case "while":
      return [
        `${indent}while ${step.flag.name} (at most ${step.maxSteps}) test {`,
        ...nested(step.test),
        `${indent}} body {`,
        ...nested(step.body),
        `${indent}}`,
      ];
    case "for":
      return [
        `${indent}for ${step.counter.name} in 0..${step.length}${step.reverse ? " reversed" : ""}${printLocals(step.locals)} {`,
        ...nested(step.body),
        `${indent}}`,
      ];
    default:
      return printKernel(step, indent);
  }
}

function printKernel(kernel: Kernel, indent: string): readonly string[] {
  const text = new ExpressionPrinter(expressionsOf(kernel));
  const shape = (sizes: Shape): string => `[${sizes.join(",")}]`;
  const of = (expression: Expression): string => text.print(expression);
  const stores = (list: readonly Store[]): string =>
    `{ ${list.map(({ buffer, access, value }) => `${buffer.name}${printAccess(access)} = ${of(value)}`).join("; ")} }`;
  const head = (): string => {
    switch (kernel.kind) {
      case "map":
        return `map ${shape(kernel.shape)} ${stores(kernel.stores)}`;
      case "reduce":
        return `reduce ${kernel.combine} ${shape(kernel.shape)} over ${shape(kernel.reduced)} of ${of(kernel.value)} ${stores(kernel.stores)}`;
      case "contract":
        return `contract ${shape(kernel.shape)} over ${shape(kernel.k)} of ${of(kernel.left)} * ${of(kernel.right)} ${stores(kernel.stores)}`;
      case "recur":
        return `recur ${shape(kernel.shape)} axis ${kernel.axis}${kernel.reverse ? " reversed" : ""} a = ${of(kernel.a)} b = ${of(kernel.b)} ${stores(kernel.stores)}`;
      case "scatter":
        return `scatter ${shape(kernel.shape)} ${kernel.buffer.name}${printAccess(kernel.access)}[${of(kernel.index)} * ${kernel.stride}] += ${of(kernel.value)}`;
      default:
        return kernel satisfies never;
    }
  };
  const line = `${indent}${head()}  # ${costs(kernel)}`;
  return [...text.shared.map((value) => `${indent}let ${value}`), line];
}

function printLocals(locals: ForLoop["locals"]): string {
  return locals === null ? "" : ` in any order with (${locals.map(({ name }) => name).join(", ")})`;
}

function printAccess({ offset, strides, loops }: Access): string {
  const moving = loops.map(({ counter, stride }) => ` + ${counter.name}*${stride}`).join("");
  return `<${strides.join(",")}${offset === 0 ? "" : ` + ${offset}`}${moving}>`;
}

/** Prints the expressions of a kernel. Operations that several others use are named and printed once. */
class ExpressionPrinter {
  /** What the names stand for, in the order in which they may be computed. */
  readonly shared: string[] = [];
  private readonly uses = new Map<Expression, number>();
  private readonly names = new Map<Expression, string>();

  constructor(roots: readonly Expression[]) {
    const use = (node: Expression): void => {
      this.uses.set(node, (this.uses.get(node) ?? 0) + 1);
    };
    const seen = new Set<Expression>();
    for (const root of roots) {
      use(root);
      visitExpression(root, (node) => {
        if (seen.has(node)) return;
        seen.add(node);
        childrenOf(node).forEach(use);
      });
    }
  }

  print(node: Expression): string {
    const known = this.names.get(node);
    if (known !== undefined) return known;
    const text = this.text(node);
    if (node.kind !== "apply" || (this.uses.get(node) ?? 0) < 2) return text;
    const name = `$${this.shared.length}`;
    this.shared.push(`${name} = ${text}`);
    this.names.set(node, name);
    return name;
  }

  private text(node: Expression): string {
    switch (node.kind) {
      case "constant":
        return String(node.value);
      case "read":
        return `${node.buffer.name}${printAccess(node.access)}`;
      case "index":
        return `index${printAccess(node.access)}`;
      case "gather":
        return `${node.buffer.name}${printAccess(node.access)}[${this.print(node.index)} * ${node.stride}]`;
      case "bits":
        return `bits(${node.key.map((word) => this.print(word)).join(", ")})${printAccess(node.counter)}`;
      case "accumulated":
        return "acc";
      case "apply":
        return `${node.direction ?? node.operation}(${node.args.map((arg) => this.print(arg)).join(", ")})`;
      default:
        return node satisfies never;
    }
  }
}

/** Bytes moved and work done by one run of a kernel. */
function costs(kernel: Kernel): string {
  const buffers = new Set([...readBy(kernel), ...writtenBy(kernel)]);
  let bytes = 0;
  for (const { dtype, size } of buffers) bytes += byteLengthOf({ dtype, shape: [size] });
  return `${bytes} bytes, ${workOf(kernel)} flops`;
}
