/** Writes ONNX models of a few nodes: the part of its protobuf format that they need. */

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

type Field = readonly [number: number, value: number | string | readonly Field[]];

/** A model of opset 17 whose values are float32, as bytes. */
export function onnxModel({ nodes, inputs, outputs }: OnnxGraph): Uint8Array {
  const graph: Field[] = [
    ...nodes.map(({ op, inputs, outputs }): Field => {
      const names = [...inputs.map((name): Field => [1, name]), ...outputs.map((name): Field => [2, name])];
      return [1, [...names, [4, op]]];
    }),
    [2, "graph"],
    ...inputs.map((value): Field => [11, valueInfo(value)]),
    ...outputs.map((value): Field => [12, valueInfo(value)]),
  ];
  return new Uint8Array(
    message([
      [1, 8],
      [7, graph],
      [
        8,
        [
          [1, ""],
          [2, 17],
        ],
      ],
    ]),
  );
}

const float32 = 1;

function valueInfo({ name, shape }: OnnxValue): Field[] {
  const dims = shape.map((size): Field => [1, [[1, size]]]);
  return [
    [1, name],
    [
      2,
      [
        [
          1,
          [
            [1, float32],
            [2, dims],
          ],
        ],
      ],
    ],
  ];
}

function message(fields: readonly Field[]): number[] {
  return fields.flatMap(([number, value]) => {
    if (typeof value === "number") return [...varint(number * 8), ...varint(value)];
    const body = typeof value === "string" ? [...new TextEncoder().encode(value)] : message(value);
    return [...varint(number * 8 + 2), ...varint(body.length), ...body];
  });
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
