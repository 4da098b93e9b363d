/**
 * Scatters: additions to elements that several points may meet in, without atomics, and in the order of the points, so
 * that the bits are the same each time. With few rows to add to, an invocation has an element of the target and looks at
 * all points. With many, a first dispatch links the points of each row, and in the second one the first point of a row
 * adds up what it is linked to.
 */
import { type Expression, type ScatterKernel, sizeOf, visitExpression } from "@banach/autograd/backend";
import { scalarType } from "../wgsl/operations.ts";
import { addressText, PointWriter, splitIndex } from "./point-writer.ts";
import { eachPoint } from "./scope.ts";
import type { ShaderWriter } from "./shader-writer.ts";

interface Plan {
  readonly kernel: ScatterKernel;
  /** Axes on which the target does not move: all their points may meet in one element. */
  readonly meeting: readonly number[];
  readonly apart: readonly number[];
  readonly points: number;
  readonly window: readonly number[];
}

function planOf(kernel: ScatterKernel): Plan {
  const { shape, access } = kernel;
  const moves = (axis: number): boolean => (access.strides[axis] ?? 0) !== 0;
  const axes = shape.map((_, axis) => axis);
  const [meeting, apart] = [axes.filter((axis) => !moves(axis)), axes.filter(moves)];
  const sizesOf = (chosen: readonly number[]): readonly number[] => chosen.map((axis) => shape[axis] ?? 1);
  return { kernel, meeting, apart, points: sizeOf(sizesOf(meeting)), window: sizesOf(apart) };
}

/** The names of all axes, from those of some. */
function placed({ kernel, meeting, apart }: Plan, meetingAt: readonly string[], apartAt: readonly string[]): string[] {
  const axes = new Array<string>(kernel.shape.length).fill("0u");
  meeting.forEach((axis, i) => (axes[axis] = meetingAt[i] ?? "0u"));
  apart.forEach((axis, i) => (axes[axis] = apartAt[i] ?? "0u"));
  return axes;
}

const sizesOf = ({ kernel, meeting }: Plan): readonly number[] => meeting.map((axis) => kernel.shape[axis] ?? 1);

/** Points to link, or 0 where every element had better look at all points. */
export function linksOf(kernel: ScatterKernel): number {
  const plan = planOf(kernel);
  if (plan.apart.some((axis) => varies(kernel.index, axis))) return 0;
  const window = sizeOf(plan.window);
  return kernel.limit * window > plan.points + 2 * window ? plan.points : 0;
}

function varies(root: Expression, axis: number): boolean {
  let found = false;
  visitExpression(root, (node) => {
    const access = node.kind === "bits" ? node.counter : "access" in node ? node.access : null;
    found ||= (access?.strides[axis] ?? 0) !== 0;
  });
  return found;
}

/** Every element of the target looks at all points. Returns the workgroups needed. */
export function writeScatter(w: ShaderWriter, kernel: ScatterKernel): number {
  const plan = planOf(kernel);
  const { access, stride, limit, buffer } = kernel;
  return eachPoint(w, "grid", limit * sizeOf(plan.window), (element) => {
    const [row = "0u", ...apart] = splitIndex(w, element, [limit, ...plan.window]);
    const at = w.let(`${addressText(w, access, placed(plan, [], apart))} + ${row} * ${stride}u`, "at");
    const sum = w.fresh("sum");
    w.line(`var ${sum}: ${scalarType(buffer.dtype)} = ${w.load(buffer, at)};`);
    const k = w.fresh("k");
    w.block(`for (var ${k} = 0u; ${k} < ${plan.points}u; ${k}++)`, () => {
      const axes = placed(plan, splitIndex(w, k, sizesOf(plan)), apart);
      const point = new PointWriter(w, axes);
      w.block(`if (u32(${point.value(kernel.index)}) == ${row})`, () => {
        w.line(`${sum} += ${new PointWriter(w, axes).value(kernel.value)};`);
      });
    });
    w.store(buffer, at, sum);
  });
}

/** In a link: the point is not the first of its row. */
const LATER = "0x80000000u";

/** The first of two dispatches: for each point, the next one of its row, or their number. Returns the workgroups needed. */
export function writeLinks(w: ShaderWriter, kernel: ScatterKernel, links: string): number {
  const plan = planOf(kernel);
  const indexAt = (point: string): string =>
    w.let(
      `u32(${new PointWriter(w, placed(plan, splitIndex(w, point, sizesOf(plan)), [])).value(kernel.index)})`,
      "row",
    );
  return eachPoint(w, "grid", plan.points, (point) => {
    const row = indexAt(point);
    const [link, k] = [w.fresh("link"), w.fresh("k")];
    w.line(`var ${link} = ${plan.points}u;`);
    w.block(`for (var ${k} = ${point} + 1u; ${k} < ${plan.points}u; ${k}++)`, () => {
      w.block(`if (${indexAt(k)} == ${row})`, () => {
        w.line(`${link} = ${k};`);
        w.line("break;");
      });
    });
    const before = w.fresh("k");
    w.block(`for (var ${before} = 0u; ${before} < ${point}; ${before}++)`, () => {
      w.block(`if (${indexAt(before)} == ${row})`, () => {
        w.line(`${link} |= ${LATER};`);
        w.line("break;");
      });
    });
    w.line(`${links}[${point}] = ${link};`);
  });
}

/** The second: the first point of each row adds up all of them. Returns the workgroups needed. */
export function writeLinked(w: ShaderWriter, kernel: ScatterKernel, links: string): number {
  const plan = planOf(kernel);
  const { access, stride, limit, buffer } = kernel;
  return eachPoint(w, "grid", plan.points * sizeOf(plan.window), (element) => {
    const [first = "0u", ...apart] = splitIndex(w, element, [plan.points, ...plan.window]);
    const axesAt = (point: string): readonly string[] => placed(plan, splitIndex(w, point, sizesOf(plan)), apart);
    const row = w.let(`u32(${new PointWriter(w, axesAt(first)).value(kernel.index)})`, "row");
    w.block(`if ((${links}[${first}] & ${LATER}) == 0u && ${row} < ${limit}u)`, () => {
      const at = w.let(`${addressText(w, access, placed(plan, [], apart))} + ${row} * ${stride}u`, "at");
      const [sum, k] = [w.fresh("sum"), w.fresh("k")];
      w.line(`var ${sum}: ${scalarType(buffer.dtype)} = ${w.load(buffer, at)};`);
      w.block(`for (var ${k} = ${first}; ${k} < ${plan.points}u; ${k} = ${links}[${k}] & ~${LATER})`, () => {
        w.line(`${sum} += ${new PointWriter(w, axesAt(k)).value(kernel.value)};`);
      });
      w.store(buffer, at, sum);
    });
  });
}
