/**
 * Operands of contractions in loops, turned round once. A backend reads the right operand of a contraction along its
 * columns, and has to pack one that lies along k each time. Where a loop does not change that operand, a copy made before
 * the loop, the other way round, saves this in every iteration: the gradient of h W in a scan has W that way.
 */
import type { Access } from "./access.ts";
import type { ProgramBuffer, Read } from "./expression.ts";
import {
  type ContractKernel,
  isKernel,
  type MapKernel,
  type Program,
  type Step,
  visitSteps,
  writtenBy,
} from "./program.ts";

/** Results per column from which a column is read often enough. */
const ROWS = 8;

export function turnOperands(program: Program): Program {
  const copies: ProgramBuffer[] = [];
  const name = (): string => `turned${program.temporaries.length + copies.length}`;
  const steps = program.steps.flatMap((step): readonly Step[] => {
    if (isKernel(step)) return [step];
    const turner = new Turner(writtenIn(step), (size, { buffer }) => {
      const copy = { name: name(), dtype: buffer.dtype, size };
      copies.push(copy);
      return copy;
    });
    const turned = turner.step(step);
    return [...turner.kernels, turned];
  });
  return { ...program, steps, temporaries: [...program.temporaries, ...copies] };
}

function writtenIn(loop: Step): ReadonlySet<ProgramBuffer> {
  const written = new Set<ProgramBuffer>();
  visitSteps([loop], (step) => {
    if (isKernel(step)) for (const buffer of writtenBy(step)) written.add(buffer);
    else if (step.kind === "while") written.add(step.flag).add(step.steps);
  });
  return written;
}

/** Rewrites the contractions of one loop. */
class Turner {
  /** What makes the copies. */
  readonly kernels: MapKernel[] = [];
  private readonly written: ReadonlySet<ProgramBuffer>;
  private readonly create: (size: number, read: Read) => ProgramBuffer;
  private readonly known = new Map<string, ProgramBuffer>();

  constructor(written: ReadonlySet<ProgramBuffer>, create: (size: number, read: Read) => ProgramBuffer) {
    this.written = written;
    this.create = create;
  }

  step(step: Step): Step {
    const all = (steps: readonly Step[]): readonly Step[] => steps.map((inner) => this.step(inner));
    switch (step.kind) {
      case "contract":
        return this.contraction(step);
      case "for":
        return { ...step, body: all(step.body) };
      case "while":
        return { ...step, test: all(step.test), body: all(step.body) };
      default:
        return step;
    }
  }

  private contraction(kernel: ContractKernel): ContractKernel {
    const { axes, shape, k, right } = kernel;
    const first = axes.batch + axes.m;
    const rows = shape.slice(0, first).reduce((product, size) => product * size, 1);
    const [n, steps] = [shape[first], k[0]];
    if (axes.n !== 1 || k.length !== 1 || n === undefined || steps === undefined || rows < ROWS) return kernel;
    const { strides, loops, offset } = right.access;
    const [along, across] = [strides[first] ?? 0, strides[first + 1] ?? 0];
    const fixed = loops.length === 0 && strides.slice(0, first).every((stride) => stride === 0);
    if (!fixed || this.written.has(right.buffer) || along === 1 || across !== 1 || n === 1) return kernel;
    const key = [right.buffer.name, offset, along, n, steps].join();
    let copy = this.known.get(key);
    if (copy === undefined) {
      copy = this.create(n * steps, right);
      this.known.set(key, copy);
      const source: Access = { offset, strides: [across, along], loops: [] };
      this.kernels.push({
        kind: "map",
        shape: [steps, n],
        stores: [
          { buffer: copy, access: { offset: 0, strides: [n, 1], loops: [] }, value: { ...right, access: source } },
        ],
      });
    }
    const access: Access = {
      offset: 0,
      strides: strides.map((_, axis) => (axis === first ? 1 : axis > first ? n : 0)),
      loops: [],
    };
    return { ...kernel, right: { ...right, buffer: copy, access } };
  }
}
