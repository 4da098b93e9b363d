/** Each scalar operation as a WGSL expression, and constants as literals. */
import type { Apply, CompareDirection, DType } from "@banach/autograd/backend";
import { float } from "./math/library.ts";

/** The type of a scalar while it is computed with. */
export type WgslScalar = "f32" | "i32" | "u32" | "bool";

/** A float16 is computed with as float32. */
export function scalarType(dtype: DType): WgslScalar {
  switch (dtype) {
    case "float32":
    case "float16":
      return "f32";
    case "int32":
      return "i32";
    case "uint32":
      return "u32";
    case "bool":
      return "bool";
    case "float64":
      throw new RangeError("WGSL has no float64");
    default:
      return dtype satisfies never;
  }
}

/** A value of a dtype, rounded or wrapped as storing it would. Refers to the variables that `functionsText` declares. */
export function literal(dtype: DType, value: number): string {
  switch (scalarType(dtype)) {
    case "f32":
      return float(dtype === "float16" ? toHalf(Math.fround(value)) : value);
    case "i32": {
      const wrapped = value | 0;
      if (wrapped === -(2 ** 31)) return "i32(-2147483648)";
      return wrapped < 0 ? `(${wrapped}i)` : `${wrapped}i`;
    }
    case "u32":
      return `${value >>> 0}u`;
    default:
      return value === 0 ? "false" : "true";
  }
}

/** The nearest float16, ties to even. */
function toHalf(x: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), -14);
  // Adding a float64 whose last bit weighs as much as the half's makes the addition do the rounding.
  const anchor = 1.5 * 2 ** (exponent + 42);
  const rounded = x + anchor - anchor;
  if (rounded === 0 || !Number.isFinite(x)) return rounded === 0 ? x * 0 : x;
  return Math.abs(rounded) > 65_504 ? rounded * Infinity : rounded;
}

/** Names a library function, and sees to it that the module has it. */
export type Use = (name: string) => string;

/**
 * The value of a node.
 * @param args identifiers or literals, one for each operand
 * @param use called with each library function that the expression calls
 */
export function operationText(node: Apply, args: readonly string[], use: Use): string {
  const type = scalarType(node.args[0]?.dtype ?? node.dtype);
  const [a, b, c] = type !== "bool" && args.every(isLiteral) ? hidden(args, type, use) : args;
  if (a === undefined) throw new RangeError(`${node.operation} needs an operand`);
  if (node.operation === "select") return `select(${c ?? a}, ${b ?? a}, ${a})`;
  if (node.operation === "convert_element_type") return convert(a, node.args[0]?.dtype ?? node.dtype, node.dtype, use);
  if (node.operation === "not") return `(!${a})`;
  if (b === undefined)
    return type === "f32" ? floatUnary(node.operation, a, use) : integerUnary(node.operation, type, a);
  if (node.operation === "compare") return compare(node.direction ?? "eq", type, a, b, use);
  if (node.operation === "pow" && node.args[1]?.kind === "constant") return power(a, b, node.args[1].value, use);
  if (node.operation === "and") return `(${a} & ${b})`;
  if (node.operation === "or") return `(${a} | ${b})`;
  return type === "f32" ? floatBinary(node.operation, a, b, use) : integerBinary(node.operation, type, a, b, use);
}

const isLiteral = (text: string): boolean => /^[\d(]|^i32\(|^true$|^false$/.test(text);

/** Of literals alone, the compiler would compute the value, and refuse what overflows or is NaN. */
function hidden([first = "", ...rest]: readonly string[], type: WgslScalar, use: Use): readonly string[] {
  return [`${use(`fp_opaque_${type}`)}(${first})`, ...rest];
}

function floatUnary(operation: Apply["operation"], x: string, use: Use): string {
  switch (operation) {
    case "neg":
      return `(-${x})`;
    case "abs":
    case "floor":
      return `${operation}(${x})`;
    // Specified to 2 ulp.
    case "rsqrt":
      return `inverseSqrt(${x})`;
    case "sign":
    case "exp":
    case "log":
    case "log1p":
    case "expm1":
    case "sin":
    case "cos":
    case "tanh":
    case "logistic":
    case "sqrt":
    case "is_finite":
      return `${use(`fp_${operation}`)}(${x})`;
    default:
      throw new RangeError(`${operation} does not take one operand`);
  }
}

function integerUnary(operation: Apply["operation"], type: WgslScalar, x: string): string {
  if (type !== "bool") {
    switch (operation) {
      case "neg":
        return type === "i32" ? `(-${x})` : `(0u - ${x})`;
      case "abs":
        return type === "i32" ? `abs(${x})` : x;
      case "sign":
        return type === "i32" ? `sign(${x})` : `min(${x}, 1u)`;
      default:
    }
  }
  throw new RangeError(`${operation} does not take an operand of type ${type}`);
}

function floatBinary(operation: Apply["operation"], a: string, b: string, use: Use): string {
  switch (operation) {
    case "add":
      return `(${a} + ${b})`;
    case "sub":
      return `(${a} - ${b})`;
    case "mul":
      return `(${a} * ${b})`;
    // Specified to 2.5 ulp.
    case "div":
      return `(${a} / ${b})`;
    case "max":
    case "min":
    case "pow":
      return `${use(`fp_${operation}`)}(${a}, ${b})`;
    default:
      throw new RangeError(`${operation} does not take two operands`);
  }
}

/** A power with a constant exponent, which is mostly a small integer. */
function power(x: string, y: string, exponent: number, use: Use): string {
  switch (exponent) {
    case -1:
      return `(1f / ${x})`;
    case 1:
      return x;
    case 2:
      return `(${x} * ${x})`;
    case 3:
      return `(${x} * ${x} * ${x})`;
    default:
      return `${use("fp_pow")}(${x}, ${y})`;
  }
}

function integerBinary(operation: Apply["operation"], type: WgslScalar, a: string, b: string, use: Use): string {
  if (type !== "bool") {
    switch (operation) {
      case "add":
        return `(${a} + ${b})`;
      case "sub":
        return `(${a} - ${b})`;
      case "mul":
        return `(${a} * ${b})`;
      case "div":
        return `${use(`fp_div_${type}`)}(${a}, ${b})`;
      case "max":
      case "min":
        return `${operation}(${a}, ${b})`;
      default:
    }
  }
  throw new RangeError(`${operation} does not take two operands of type ${type}`);
}

const OPERATORS: Readonly<Record<CompareDirection, string>> = {
  eq: "==",
  ne: "!=",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};

function compare(direction: CompareDirection, type: WgslScalar, a: string, b: string, use: Use): string {
  if (type === "bool") return compareBools(direction, a, b);
  if (type === "f32" && direction === "ne") {
    // What asks for NaN gets an answer even where the compiler assumes that there is none; and != may be false of NaN.
    return a === b ? `${use("fp_is_nan")}(${a})` : `(!(${a} == ${b}))`;
  }
  if (type === "f32" && direction === "eq" && a === b) return `(!${use("fp_is_nan")}(${a}))`;
  return `(${a} ${OPERATORS[direction]} ${b})`;
}

/** False is less than true. */
function compareBools(direction: CompareDirection, a: string, b: string): string {
  switch (direction) {
    case "eq":
    case "ne":
      return `(${a} ${OPERATORS[direction]} ${b})`;
    case "lt":
      return `(!${a} & ${b})`;
    case "le":
      return `(!${a} | ${b})`;
    case "gt":
      return `(${a} & !${b})`;
    case "ge":
      return `(${a} | !${b})`;
    default:
      return direction satisfies never;
  }
}

function convert(x: string, from: DType, to: DType, use: Use): string {
  if (to === "float16" && from !== "float16") return `${use("fp_to_f16")}(${convert(x, from, "float32", use)})`;
  const [source, target] = [scalarType(from), scalarType(to)];
  if (source === target) return x;
  // NaN is true.
  if (target === "bool") return source === "f32" ? `(!(${x} == 0.0))` : `bool(${x})`;
  if (source === "f32") return `${use(`fp_to_${target}`)}(${x})`;
  if (source === "u32" && target === "f32") return `${use("fp_u32_to_f32")}(${x})`;
  return `${target}(${x})`;
}
