/** What may stay in registers, and what may not: by programs that are written by hand, as no graph lowers to some of them. */
import type { Expression, ForLoop, Kernel, Program, ProgramBuffer, Read, ReduceKernel } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { Layout } from "../../src/codegen/layout.ts";
import { writeRegion } from "../../src/codegen/region.ts";
import { planRows } from "../../src/codegen/row-plan.ts";
import { SOFTWARE } from "../../src/codegen/shader-writer.ts";
import { limitsOf } from "./shaders.ts";

const [ROWS, COLUMNS] = [4, 32];

const limits = limitsOf(SOFTWARE);

const bufferOf = (name: string, size: number, dtype: ProgramBuffer["dtype"] = "float32"): ProgramBuffer => ({
  name,
  dtype,
  size,
});

/** Over rows and columns. */
function at(buffer: ProgramBuffer, strides: readonly number[] = [COLUMNS, 1], offset = 0): Read {
  return { kind: "read", dtype: buffer.dtype, buffer, access: { offset, strides, loops: [] } };
}

function assign(...stores: readonly (readonly [Read, Expression])[]): Kernel {
  return {
    kind: "map",
    shape: [ROWS, COLUMNS],
    stores: stores.map(([{ buffer, access }, value]) => ({ buffer, access, value })),
  };
}

const sum = (value: Expression, into: ProgramBuffer): ReduceKernel => ({
  kind: "reduce",
  shape: [ROWS],
  reduced: [COLUMNS],
  combine: "sum",
  value,
  stores: [
    {
      buffer: into,
      access: { offset: 0, strides: [1], loops: [] },
      value: { kind: "accumulated", dtype: "float32" },
    },
  ],
});

/** Sums of four neighbours. */
const windows = (value: Expression): ReduceKernel => ({
  ...sum(value, y),
  shape: [ROWS, COLUMNS],
  reduced: [4],
  stores: [{ buffer: y, access: at(y).access, value: { kind: "accumulated", dtype: "float32" } }],
});

const [flag, steps, total] = [bufferOf("flag", 1, "bool"), bufferOf("steps", 1, "int32"), bufferOf("total", ROWS)];
const [a, b, wide] = [bufferOf("a", 128), bufferOf("b", 128), bufferOf("wide", 256)];
const [x, y] = [bufferOf("x", 256), bufferOf("y", 128)];

/** A region of one block whose while has a body. */
function region(body: readonly Kernel[]): ForLoop {
  return {
    kind: "for",
    counter: { name: "rows" },
    length: 1,
    reverse: false,
    body: [{ kind: "while", test: [], flag, body, maxSteps: 3, steps }],
    locals: [flag, total, a, b, wide],
  };
}

const residentsOf = (body: readonly Kernel[]): readonly string[] => {
  const plan = planRows(region(body), [total, a, b, wide], 64, limits);
  return [...(plan?.residents ?? [])].map(([{ name }, form]) => `${name} ${form}`).sort();
};

function textOf(body: readonly Kernel[]): string {
  const loop = region(body);
  const program: Program = {
    inputs: [x],
    outputs: [y],
    inputTypes: [],
    outputTypes: [],
    temporaries: loop.locals ?? [],
    steps: [loop],
  };
  return writeRegion(loop, new Layout(program, 2 ** 20, { label: "test", live: 0 }), limits).code;
}

describe("what stays in registers", () => {
  it("is what is touched in one way alone", () => {
    expect(residentsOf([assign([at(a), at(x)]), assign([at(y), at(a)]), sum(at(a), total)])).toEqual([
      "a wide",
      "total narrow",
    ]);
  });

  it.each<readonly [string, Kernel]>([
    ["at two places", assign([at(y), at(a, [COLUMNS, 1], 1)])],
    ["in another order of columns", assign([at(y), at(a, [COLUMNS, -1], 31)])],
    ["by a gather", assign([at(y), { ...at(a), kind: "gather", stride: 1, limit: 128, index: at(y) }])],
    [
      "by a kernel over other points",
      { kind: "map", shape: [7], stores: [{ buffer: y, access: at(y, [1]).access, value: at(a, [1]) }] },
    ],
    ["as terms of a row", { ...sum(at(a, [COLUMNS, 0, 1]), y), reduced: [1, 4] }],
    ["as terms of an element", windows(at(a, [COLUMNS, 1, 1]))],
  ])("is not what is touched %s", (_, kernel) => {
    expect(residentsOf([assign([at(a), at(x)]), sum(at(a), total), kernel])).not.toContain("a wide");
  });

  it("is not one element for all columns of a row", () => {
    expect(residentsOf([assign([at(total, [1, 0]), at(x)]), sum(at(x), y)])).toEqual([]);
  });

  it("fits", () => {
    const tight = { ...limits, tuning: { ...SOFTWARE, registers: 5 } };
    const body = [assign([at(a), at(x)]), sum(at(a), total)];
    const plan = planRows(region(body), [total, a], 64, tight);
    expect([...(plan?.residents.keys() ?? [])]).toEqual([total]);
  });
});

/** The body of the loop. */
const insideOf = (code: string): string => / {4}if \(workgroupUniformLoad.*?(?=\n {2}\}\n)/s.exec(code)?.[0] ?? "";

describe("the text of a region", () => {
  it("reads all that a kernel stores before it stores any", () => {
    const code = textOf([sum(at(a), total), assign([at(a), at(b)], [at(b), at(a)])]);
    expect(code.match(/let v\d+ = own\d+;/g)).toHaveLength(2 * 16);
  });

  it("leaves in memory what a loop changes and touches at two places", () => {
    const halves = [at(wide, [64, 1]), at(wide, [64, 1], 32)] as const;
    const code = textOf([
      assign([halves[0], at(x)]),
      assign([halves[1], at(x)]),
      sum(halves[0], total),
      sum(halves[1], total),
    ]);
    expect(insideOf(code)).toMatch(/near\d+\[.*\] = /);
  });

  it("loads what a loop reads before it, and stores what it changes behind it", () => {
    const code = textOf([sum(at(x), total), assign([at(y), { ...at(y) }])]);
    const inside = insideOf(code);
    const [before = "", behind = ""] = code.split(inside);
    expect(before).toMatch(/let v\d+ = b0\[/);
    expect(inside).not.toMatch(/b\d+\[/);
    expect(behind).toMatch(/b1\[.*\] = own\d+;/);
  });
});
