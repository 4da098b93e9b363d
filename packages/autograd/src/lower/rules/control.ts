/** Loops stay loops: their carries live in memory of their own, their bodies are blocks. */
import { sizeOf, type TensorType } from "../../ir/tensor-type.ts";
import { type LoopCounter, steppedBy, wholeOf, withStrides } from "../access.ts";
import type { Block, Value } from "../block.ts";
import { costOf, type Expression, mapAccesses, type ProgramBuffer, type Read, readAt } from "../expression.ts";
import type { LowerRule } from "../rule.ts";
import { accumulated } from "./reduction.ts";

export const stop_gradient: LowerRule<"stop_gradient"> = ({ inputs: [x], outputs: [out] }, { block }) => {
  if (x !== undefined && out !== undefined) block.set(out, block.get(x));
};

export const custom_vjp_call: LowerRule<"custom_vjp_call"> = ({ inputs, outputs, params }, { block, inline }) => {
  const results = inline(
    block,
    params.primal,
    inputs.map((atom) => block.get(atom)),
  );
  outputs.forEach((v, i) => {
    const result = results[i];
    if (result !== undefined) block.set(v, result);
  });
};

/** A constant of a loop, computed before it rather than in every step. */
function hoisted(block: Block, value: Value): Value {
  return costOf(value.expression) > 0 ? block.stored(value) : value;
}

type Stored = Value & { readonly expression: Read };

/** Memory for each carry, filled with its first value. */
function carriesOf(block: Block, initial: readonly Value[]): readonly Stored[] {
  return initial.map((value) => block.copied(value, "carry"));
}

/**
 * Replaces the carries by their next values. All of them are computed first, for each may read any carry; `keep` says per
 * element whether the old value stays.
 */
function commit(
  block: Block,
  carries: readonly Stored[],
  next: readonly Value[],
  freeze: (x: Expression, old: Read) => Expression,
): void {
  const changed = next.flatMap((value, i) => {
    const carry = carries[i];
    return carry === undefined || value.expression === carry.expression ? [] : [{ carry, value: block.copied(value) }];
  });
  for (const { carry, value } of changed) {
    const { buffer, access } = carry.expression;
    block.write(carry.type.shape, buffer, access, freeze(value.expression, carry.expression));
  }
}

const plain = (value: Expression): Expression => value;

export const scan: LowerRule<"scan"> = ({ inputs, outputs, params }, { block, nested, inline }) => {
  const { body, consts, carry, length, reverse } = params;
  const constants = inputs.slice(0, consts).map((atom) => hoisted(block, block.get(atom)));
  const carries = carriesOf(
    block,
    inputs.slice(consts, consts + carry).map((atom) => block.get(atom)),
  );
  const stacked = inputs.slice(consts + carry).map((atom) => block.stored(block.get(atom)));
  const results = outputs
    .slice(carry)
    .map((v) => block.reading(v.type, block.pool.temporary(v.type.dtype, sizeOf(v.type.shape), "ys")));
  const counter: LoopCounter = { name: `t${block.pool.temporaries.length}` };
  const inner = nested(body);
  const slices = stacked.map((value) => sliceAt(value, counter));
  const values = inline(inner, body, [...constants, ...carries, ...slices]);
  results.forEach((result, i) => {
    const value = values[carry + i];
    const { expression } = sliceAt(result, counter);
    if (value !== undefined) inner.write(value.type.shape, expression.buffer, expression.access, value.expression);
  });
  commit(inner, carries, values.slice(0, carry), plain);
  block.steps.push({ kind: "for", counter, length, reverse, body: inner.steps, locals: null });
  [...carries, ...results].forEach((value, i) => {
    const v = outputs[i];
    if (v !== undefined) block.set(v, value);
  });
};

/** One step of a stacked value. */
function sliceAt({ type, expression }: Stored, counter: LoopCounter): Stored {
  return {
    type: { dtype: type.dtype, shape: type.shape.slice(1) },
    expression: readAt(expression, steppedBy(expression.access, counter)),
  };
}

export const while_: LowerRule<"while"> = ({ inputs, outputs, params }, { block, nested, inline }) => {
  const { cond, body, condConsts, bodyConsts, maxSteps } = params;
  const constants = inputs.slice(0, condConsts + bodyConsts).map((atom) => hoisted(block, block.get(atom)));
  const carries = carriesOf(
    block,
    inputs.slice(condConsts + bodyConsts).map((atom) => block.get(atom)),
  );
  const stepsVar = outputs[carries.length];
  if (stepsVar === undefined) return;
  const rows = rowState(block, stepsVar.type);

  const test = nested(cond);
  const [predicate] = inline(test, cond, [...constants.slice(0, condConsts), ...carries]);
  if (predicate !== undefined) writeTest(test, rows, predicate);

  const inner = nested(body);
  const next = inline(inner, body, [...constants.slice(condConsts), ...carries]);
  commit(inner, carries, next, (value, old) => frozen(rows, value, old));
  countStep(inner, rows);

  block.steps.push({
    kind: "while",
    test: test.steps,
    flag: rows.flag,
    body: inner.steps,
    maxSteps,
    steps: rows.steps.expression.buffer,
  });
  [...carries, rows.steps].forEach((value, i) => {
    const v = outputs[i];
    if (v !== undefined) block.set(v, value);
  });
};

interface RowState {
  /** bool[] or bool[rows]: rows that have not finished. */
  readonly active: Stored;
  /** int32[] or int32[rows]. */
  readonly steps: Stored;
  /** bool: is any row active? */
  readonly flag: ProgramBuffer;
}

function rowState(block: Block, type: TensorType): RowState {
  const constant = (dtype: "bool" | "int32", value: number): Stored =>
    block.copied({ type: { dtype, shape: type.shape }, expression: { kind: "constant", dtype, value } }, "row");
  return { active: constant("bool", 1), steps: constant("int32", 0), flag: block.pool.temporary("bool", 1, "flag") };
}

/** active = active and predicate; flag = any(active). */
function writeTest(test: Block, { active, flag }: RowState, predicate: Value): void {
  const { shape } = active.type;
  const { buffer, access } = active.expression;
  const both: Expression = {
    kind: "apply",
    operation: "and",
    dtype: "bool",
    args: [active.expression, predicate.expression],
  };
  test.write(shape, buffer, access, both);
  test.steps.push({
    kind: "reduce",
    shape: [],
    reduced: shape,
    combine: "max",
    value: active.expression,
    stores: [{ buffer: flag, access: wholeOf([]), value: accumulated("bool") }],
  });
}

/** The new value where the row is active, else the old one. */
function frozen({ active }: RowState, value: Expression, old: Read): Expression {
  if (active.type.shape.length === 0) return value;
  const row = mapAccesses(active.expression, (access) =>
    withStrides(
      access,
      old.access.strides.map((_, axis) => (axis === 0 ? (access.strides[0] ?? 0) : 0)),
    ),
  );
  if (row === null) throw new RangeError("lower: a repeated access always exists");
  return { kind: "apply", operation: "select", dtype: old.dtype, args: [row, value, old] };
}

/** steps = steps + active. */
function countStep(block: Block, { active, steps }: RowState): void {
  const one: Expression = {
    kind: "apply",
    operation: "convert_element_type",
    dtype: "int32",
    args: [active.expression],
  };
  const sum: Expression = { kind: "apply", operation: "add", dtype: "int32", args: [steps.expression, one] };
  block.write(steps.type.shape, steps.expression.buffer, steps.expression.access, sum);
}
