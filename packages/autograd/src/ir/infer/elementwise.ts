/** Result types of the elementwise primitives. */
import { DTypeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import type { PrimitiveName } from "../primitives.ts";
import { formatType, isDType } from "../tensor-type.ts";
import {
  one,
  requireDType,
  requireFloat,
  requireNumeric,
  requireSameDType,
  requireSameShape,
  three,
  two,
} from "./check.ts";

export function floatUnary<P extends PrimitiveName>(op: P): InferRule<P> {
  return (inputs) => {
    const x = one(op, inputs);
    requireFloat(op, x);
    return [x];
  };
}

export function numericUnary<P extends PrimitiveName>(op: P): InferRule<P> {
  return (inputs) => {
    const x = one(op, inputs);
    requireNumeric(op, x);
    return [x];
  };
}

export function numericBinary<P extends PrimitiveName>(op: P): InferRule<P> {
  return (inputs) => {
    const [a, b] = two(op, inputs);
    requireSameShape(op, inputs);
    requireSameDType(op, inputs);
    requireNumeric(op, a);
    requireNumeric(op, b);
    return [a];
  };
}

export function boolBinary<P extends PrimitiveName>(op: P): InferRule<P> {
  return (inputs) => {
    const [a, b] = two(op, inputs);
    requireSameShape(op, inputs);
    requireDType(op, "the left operand", a, "bool");
    requireDType(op, "the right operand", b, "bool");
    return [a];
  };
}

export const pow: InferRule<"pow"> = (inputs) => {
  const [a] = two("pow", inputs);
  requireSameShape("pow", inputs);
  requireSameDType("pow", inputs);
  requireFloat("pow", a);
  return [a];
};

export const not: InferRule<"not"> = (inputs) => {
  const x = one("not", inputs);
  requireDType("not", "the operand", x, "bool");
  return [x];
};

export const is_finite: InferRule<"is_finite"> = (inputs) => {
  const x = one("is_finite", inputs);
  requireFloat("is_finite", x);
  return [{ dtype: "bool", shape: x.shape }];
};

export const convert_element_type: InferRule<"convert_element_type"> = (inputs, { dtype }) => {
  const x = one("convert_element_type", inputs);
  if (!isDType(dtype)) throw new DTypeError(`convert_element_type: no dtype '${String(dtype)}' for ${formatType(x)}`);
  return [{ dtype, shape: x.shape }];
};

export const compare: InferRule<"compare"> = (inputs) => {
  const [a] = two("compare", inputs);
  requireSameShape("compare", inputs);
  requireSameDType("compare", inputs);
  return [{ dtype: "bool", shape: a.shape }];
};

export const select: InferRule<"select"> = (inputs) => {
  const [predicate, onTrue, onFalse] = three("select", inputs);
  requireDType("select", "the predicate", predicate, "bool");
  requireSameShape("select", inputs);
  requireSameDType("select", [onTrue, onFalse]);
  return [onTrue];
};
