/**
 * Loops whose iterations may run at once, as one dispatch: each workgroup runs an iteration from its first kernel to its
 * last, loops included, and its invocations wait for each other in between. So a fixed-point iteration is one dispatch,
 * however many steps it takes, and every workgroup stops by itself.
 */
import {
  type ForLoop,
  isKernel,
  type Kernel,
  type ProgramBuffer,
  type Places,
  readBy,
  type Step,
  visitSteps,
  workOf,
  type WhileLoop,
  writtenBy,
} from "@banach/autograd/backend";
import type { Layout } from "./layout.ts";
import { type Shader, type ShaderLimits, ShaderWriter } from "./shader-writer.ts";
import { writeKernel } from "./write-kernel.ts";

/**
 * Bytes of workgroup memory that reductions need while lanes combine them: a word per lane, of each type of number, and
 * another for places.
 */
const reserved = (invocations: number): number => 16 * invocations;

/** Whether a loop is one dispatch. */
export function isRegion(step: ForLoop): boolean {
  return step.locals !== null;
}

/**
 * Invocations of a workgroup: as many as the widest kernel has use for, in whole subgroups of any GPU. On a processor those
 * few that keep it busy.
 */
function invocationsFor(kernels: readonly Kernel[], workgroups: number, limits: ShaderLimits): number {
  const { tuning, invocations } = limits;
  const points = Math.max(...kernels.map(workOf)) / WORK;
  const wanted = tuning.tiles ? Math.max(64, points) : Math.max(4, Math.min(points, tuning.busy / workgroups));
  return Math.min(invocations, 2 ** Math.floor(Math.log2(wanted)));
}

/** Additions that are worth an invocation of their own. */
const WORK = 16;

export function writeRegion(loop: ForLoop, layout: Layout, device: ShaderLimits): Shader {
  const kernels: Kernel[] = [];
  const flags = new Set<ProgramBuffer>();
  visitSteps([loop], (step) => {
    if (isKernel(step)) kernels.push(step);
    if (step.kind === "while") flags.add(step.flag);
  });
  const limits = { ...device, invocations: invocationsFor(kernels, loop.length, device) };
  const w = new ShaderWriter(layout, limits);
  for (const flag of flags) w.place(flag, w.workgroup("array<u32, 1>", "flag"), "");
  const locals = (loop.locals ?? []).filter((buffer) => !flags.has(buffer));
  const { near, far } = layout.locals(locals, limits.workgroupBytes - reserved(limits.invocations) - 16 * flags.size);
  if (near.bytes > 0) {
    const name = w.workgroup(`array<u32, ${near.bytes / 4}>`, "near");
    for (const [buffer, offset] of near.offsets) w.place(buffer, name, offset === 0 ? "" : `${offset / 4}u + `);
  }
  if (far.bytes > 0) {
    const place = layout.scratch(far.bytes * loop.length);
    const name = w.bindScratch(place, "u32");
    for (const [buffer, offset] of far.offsets) {
      w.place(buffer, name, `group * ${far.bytes / 4}u + ${offset === 0 ? "" : `${offset / 4}u + `}`);
    }
  }
  const own = new Set([...locals, ...flags]);
  const isShared = (buffer: ProgramBuffer): boolean => !own.has(buffer);
  w.bind(
    kernels.flatMap((kernel) => [...readBy(kernel)]).filter(isShared),
    new Set(kernels.flatMap(writtenBy).filter(isShared)),
  );
  if (loop.length < w.groupsOf(loop.length)) w.line(`if (group >= ${loop.length}u) { return; }`);
  w.nameCounter(loop.counter, "group");
  new StepWriter(w, { near, far }, kernels).write(loop.body);
  return w.finish(`rows x ${loop.length}`, loop.length);
}

/** Bytes that a kernel touches: of a buffer, or of the memory that locals share. */
interface Touch {
  readonly memory: ProgramBuffer | "near" | "far";
  readonly from: number;
  readonly to: number;
  readonly isWritten: boolean;
}

/** Writes steps, with a barrier before what touches memory that another invocation may not be done with. */
class StepWriter {
  private readonly w: ShaderWriter;
  private readonly locals: { readonly near: Places; readonly far: Places };
  /** Buffers in storage that some kernel writes, and another kernel reads or writes. */
  private readonly passedOn: ReadonlySet<ProgramBuffer>;
  /** Since the last barrier. */
  private touched: Touch[] = [];
  /** Whether storage was written since that is passed on. */
  private wroteStorage = false;

  constructor(w: ShaderWriter, locals: { readonly near: Places; readonly far: Places }, kernels: readonly Kernel[]) {
    this.w = w;
    this.locals = locals;
    const { near } = locals;
    const read = new Set(kernels.flatMap((kernel) => [...readBy(kernel)]));
    const written = kernels.flatMap(writtenBy);
    const isShared = (buffer: ProgramBuffer): boolean =>
      read.has(buffer) || written.indexOf(buffer) < written.lastIndexOf(buffer);
    this.passedOn = new Set(written.filter((buffer) => isShared(buffer) && !near.offsets.has(buffer)));
  }

  write(steps: readonly Step[]): void {
    for (const step of steps) {
      if (isKernel(step)) this.kernel(step);
      else if (step.kind === "for") this.for(step);
      else this.while(step);
    }
  }

  private kernel(kernel: Kernel): void {
    const touches = [
      ...[...readBy(kernel)].map((buffer) => this.touch(buffer, false)),
      ...writtenBy(kernel).map((buffer) => this.touch(buffer, true)),
    ];
    if (touches.some((touch) => this.touched.some((before) => conflict(before, touch)))) this.barrier();
    writeKernel(this.w, kernel, "workgroup");
    this.touched.push(...touches);
    this.wroteStorage ||= writtenBy(kernel).some((buffer) => this.passedOn.has(buffer));
  }

  private for({ counter, length, reverse, body }: ForLoop): void {
    const { w } = this;
    if (length === 0) return;
    this.barrier();
    const step = w.fresh("t");
    w.block(`for (var ${step} = 0u; ${step} < ${length}u; ${step}++)`, () => {
      w.nameCounter(counter, reverse ? w.let(`${length - 1}u - ${step}`, "t") : step);
      this.write(body);
      this.barrier();
    });
  }

  private while({ test, flag, body, maxSteps }: WhileLoop): void {
    const { w } = this;
    this.barrier();
    const step = w.fresh("n");
    w.block(`for (var ${step} = 0u; ${step} < ${maxSteps}u; ${step}++)`, () => {
      this.write(test);
      // This waits for everybody, before and after.
      if (this.wroteStorage) this.barrier();
      w.line(`if (workgroupUniformLoad(&${w.nameOf(flag)})[0] == 0u) { break; }`);
      this.touched = [];
      w.scratchIsFree();
      this.write(body);
      this.barrier();
    });
  }

  private barrier(): void {
    if (this.touched.length === 0) return;
    // Each of the two lets everybody arrive, and makes one kind of memory visible.
    if (this.wroteStorage) this.w.line("storageBarrier();");
    this.w.line("workgroupBarrier();");
    this.touched = [];
    this.wroteStorage = false;
    this.w.scratchIsFree();
  }

  private touch(buffer: ProgramBuffer, isWritten: boolean): Touch {
    for (const memory of ["near", "far"] as const) {
      const from = this.locals[memory].offsets.get(buffer);
      if (from !== undefined) return { memory, from, to: from + 4 * buffer.size, isWritten };
    }
    return { memory: buffer, from: 0, to: 1, isWritten };
  }
}

function conflict(a: Touch, b: Touch): boolean {
  return (a.isWritten || b.isWritten) && a.memory === b.memory && a.from < b.to && b.from < a.to;
}
