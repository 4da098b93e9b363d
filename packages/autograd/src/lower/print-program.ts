/** The text of a program: kernels with their loop nests, what they read and write, and what they cost. */
import { byteLengthOf, type Shape } from "../ir/tensor-type.ts";
import type { Access } from "./access.ts";
import type { Expression, ProgramBuffer } from "./expression.ts";
import {
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
      return [`${indent}${printKernel(step)}  # ${costs(step)}`];
  }
}

function printKernel(kernel: Kernel): string {
  const shape = (sizes: Shape): string => `[${sizes.join(",")}]`;
  switch (kernel.kind) {
    case "map":
      return `map ${shape(kernel.shape)} ${printStores(kernel.stores)}`;
    case "reduce":
      return `reduce ${kernel.combine} ${shape(kernel.shape)} over ${shape(kernel.reduced)} of ${printExpression(kernel.value)} ${printStores(kernel.stores)}`;
    case "contract":
      return `contract ${shape(kernel.shape)} over ${shape(kernel.k)} of ${printExpression(kernel.left)} * ${printExpression(kernel.right)} ${printStores(kernel.stores)}`;
    case "recur":
      return `recur ${shape(kernel.shape)} axis ${kernel.axis}${kernel.reverse ? " reversed" : ""} a = ${printExpression(kernel.a)} b = ${printExpression(kernel.b)} ${printStores(kernel.stores)}`;
    case "scatter":
      return `scatter ${shape(kernel.shape)} ${kernel.buffer.name}${printAccess(kernel.access)}[${printExpression(kernel.index)} * ${kernel.stride}] += ${printExpression(kernel.value)}`;
    default:
      return kernel satisfies never;
  }
}

function printLocals(locals: ForLoop["locals"]): string {
  return locals === null ? "" : ` in any order with (${locals.map(({ name }) => name).join(", ")})`;
}

function printStores(stores: readonly Store[]): string {
  const parts = stores.map(
    ({ buffer, access, value }) => `${buffer.name}${printAccess(access)} = ${printExpression(value)}`,
  );
  return `{ ${parts.join("; ")} }`;
}

function printAccess({ offset, strides, loops }: Access): string {
  const moving = loops.map(({ counter, stride }) => ` + ${counter.name}*${stride}`).join("");
  return `<${strides.join(",")}${offset === 0 ? "" : ` + ${offset}`}${moving}>`;
}

function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "constant":
      return String(expression.value);
    case "read":
      return `${expression.buffer.name}${printAccess(expression.access)}`;
    case "index":
      return `index${printAccess(expression.access)}`;
    case "gather":
      return `${expression.buffer.name}${printAccess(expression.access)}[${printExpression(expression.index)} * ${expression.stride}]`;
    case "bits":
      return `bits${printAccess(expression.counter)}`;
    case "accumulated":
      return "acc";
    case "apply":
      return `${expression.direction ?? expression.operation}(${expression.args.map(printExpression).join(", ")})`;
    default:
      return expression satisfies never;
  }
}

/** Bytes moved and work done by one run of a kernel. */
function costs(kernel: Kernel): string {
  const buffers = new Set([...readBy(kernel), ...writtenBy(kernel)]);
  let bytes = 0;
  for (const { dtype, size } of buffers) bytes += byteLengthOf({ dtype, shape: [size] });
  return `${bytes} bytes, ${workOf(kernel)} flops`;
}
