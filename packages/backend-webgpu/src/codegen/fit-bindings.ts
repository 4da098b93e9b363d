/**
 * Programs whose dispatches bind no more buffers than a device allows. All temporaries are in one binding if need be; the
 * trouble is with inputs and outputs, each of which is a buffer of its own. A kernel with many stores is divided by them.
 * Where that does not help, inputs and outputs get a temporary beside them, and are copied once a run.
 */
import {
  type Expression,
  isKernel,
  type Kernel,
  type MapKernel,
  operandsOf,
  type Program,
  type ProgramBuffer,
  readBy,
  rewriteExpression,
  type Step,
  type Store,
  substituteBuffers,
  buffersOf,
  sizeOf,
  visitSteps,
  wholeOf,
  writtenBy,
} from "@banach/autograd/backend";
import { isRegion } from "./region.ts";

export interface Fitted {
  readonly program: Program;
  /** Kernels that copy a whole buffer to another of the same size. */
  readonly copies: ReadonlySet<Step>;
}

/** @param most inputs and outputs that a dispatch may bind */
export function fitBindings(program: Program, most: number): Fitted {
  const fitter = new Fitter(program, most);
  return fitter.shadowed(fitter.divided(program.steps));
}

class Fitter {
  private readonly program: Program;
  private readonly most: number;
  private readonly external: ReadonlySet<ProgramBuffer>;
  private readonly added: ProgramBuffer[] = [];

  constructor(program: Program, most: number) {
    this.program = program;
    this.most = most;
    this.external = new Set([...program.inputs, ...program.outputs]);
  }

  /** Kernels that bind too much, divided by their stores where that is possible. */
  divided(steps: readonly Step[]): readonly Step[] {
    return steps.flatMap((step): readonly Step[] => {
      if (isKernel(step)) return this.countOf([step]) > this.most ? this.divide(step) : [step];
      // A region is one dispatch whatever its kernels are.
      if (step.kind === "while") return [{ ...step, test: this.divided(step.test), body: this.divided(step.body) }];
      return [isRegion(step) ? step : { ...step, body: this.divided(step.body) }];
    });
  }

  private divide(kernel: Kernel): readonly Kernel[] {
    if (kernel.kind === "scatter") return [kernel];
    // Values are read before any is stored: what is overwritten must not be divided from who reads it.
    const reads = readBy(kernel);
    if (kernel.stores.some(({ buffer }) => reads.has(buffer))) return [kernel];
    const [first = [], ...rest] = this.groups(kernel.stores, this.externalsOf(operandsOf(kernel)));
    if (kernel.kind === "map") {
      return [first, ...rest].map((stores): MapKernel => ({ kind: "map", shape: kernel.shape, stores }));
    }
    if (rest.length === 0) return [kernel];
    // What is rounded to half at the end is not to be rounded before.
    const accumulated = accumulatedType(kernel);
    const dtype = accumulated === "float16" ? "float32" : accumulated;
    const buffer = {
      name: `acc${this.program.temporaries.length + this.added.length}`,
      dtype,
      size: sizeOf(kernel.shape),
    };
    this.added.push(buffer);
    const access = wholeOf(kernel.shape);
    const kept: Store = { buffer, access, value: { kind: "accumulated", dtype } };
    const result: Expression = { kind: "read", dtype, buffer, access };
    const known = new Map<Expression, Expression>();
    const later = rest.map((stores): MapKernel => ({
      kind: "map",
      shape: kernel.shape,
      stores: stores.map((store) => ({
        ...store,
        value: rewriteExpression(store.value, (node) => (node.kind === "accumulated" ? result : node), known),
      })),
    }));
    return [{ ...kernel, stores: [...first, kept] }, ...later];
  }

  /** Stores in groups, none of which touches too much if it can be helped. */
  private groups(stores: readonly Store[], operands: ReadonlySet<ProgramBuffer>): readonly (readonly Store[])[] {
    const groups: Store[][] = [[]];
    let touched = new Set(operands);
    for (const store of stores) {
      const own = this.externalsOf([store.value]);
      if (this.external.has(store.buffer)) own.add(store.buffer);
      const together = new Set([...touched, ...own]);
      const last = groups.at(-1);
      if (together.size <= this.most || last === undefined || (last.length === 0 && groups.length > 1)) {
        last?.push(store);
        touched = together;
      } else {
        groups.push([store]);
        touched = own;
      }
    }
    return groups;
  }

  private externalsOf(expressions: readonly Expression[]): Set<ProgramBuffer> {
    return new Set([...buffersOf(expressions)].filter((buffer) => this.external.has(buffer)));
  }

  private countOf(steps: readonly Step[]): number {
    return this.externalsIn(steps).length;
  }

  private externalsIn(steps: readonly Step[]): ProgramBuffer[] {
    const found = new Set<ProgramBuffer>();
    visitSteps(steps, (step) => {
      if (!isKernel(step)) return;
      for (const buffer of [...readBy(step), ...writtenBy(step)]) if (this.external.has(buffer)) found.add(buffer);
    });
    return [...found].filter(({ size }) => size > 0);
  }

  /** Temporaries in place of the smallest inputs and outputs of what still binds too much. */
  shadowed(steps: readonly Step[]): Fitted {
    const shadows = new Map<ProgramBuffer, ProgramBuffer>();
    const visit = (step: Step): void => {
      if (step.kind === "while" || (step.kind === "for" && !isRegion(step))) {
        (step.kind === "while" ? [...step.test, ...step.body] : step.body).forEach(visit);
        return;
      }
      const bound = this.externalsIn([step])
        .filter((buffer) => !shadows.has(buffer))
        .sort((a, b) => a.size - b.size);
      for (const buffer of bound.slice(0, Math.max(0, bound.length - this.most))) {
        shadows.set(buffer, { ...buffer, name: `shadow of ${buffer.name}` });
      }
    };
    steps.forEach(visit);
    const copy = (from: ProgramBuffer, to: ProgramBuffer): MapKernel => {
      const access = wholeOf([from.size]);
      const value: Expression = { kind: "read", dtype: from.dtype, buffer: from, access };
      return { kind: "map", shape: [from.size], stores: [{ buffer: to, access, value }] };
    };
    const of = (buffers: readonly ProgramBuffer[]) =>
      buffers.flatMap((buffer) => {
        const shadow = shadows.get(buffer);
        return shadow === undefined ? [] : [{ buffer, shadow }];
      });
    const before = of(this.program.inputs).map(({ buffer, shadow }) => copy(buffer, shadow));
    const after = of(this.program.outputs).map(({ buffer, shadow }) => copy(shadow, buffer));
    const program = {
      ...this.program,
      temporaries: [...this.program.temporaries, ...this.added, ...shadows.values()],
      steps: [...before, ...(shadows.size === 0 ? steps : substituteBuffers(steps, shadows)), ...after],
    };
    return { program, copies: new Set([...before, ...after]) };
  }
}

function accumulatedType(kernel: Exclude<Kernel, { readonly kind: "map" | "scatter" }>): Expression["dtype"] {
  switch (kernel.kind) {
    case "reduce":
      return kernel.combine === "argmax" ? "int32" : kernel.value.dtype;
    case "contract":
      return kernel.left.dtype;
    default:
      return kernel.a.dtype;
  }
}
