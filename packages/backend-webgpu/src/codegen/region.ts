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
import { planRows } from "./row-plan.ts";
import { type Entered, RowWriter } from "./row-writer.ts";
import { type Shader, type ShaderLimits, ShaderWriter } from "./shader-writer.ts";
import { vectorsIn, writeKernel } from "./write-kernel.ts";

/**
 * Bytes of workgroup memory that reductions need while lanes combine them: a word per lane, of each type of number, and
 * another for places; the lanes of rows in turn use two more of each type.
 */
const reserved = (invocations: number, hasRows: boolean): number => (hasRows ? 40 : 16) * invocations;

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
  const wanted = invocationsFor(kernels, loop.length, device);
  const plan = planRows(
    loop,
    (loop.locals ?? []).filter((buffer) => !flags.has(buffer)),
    wanted,
    device,
  );
  const limits = { ...device, invocations: plan?.invocations ?? wanted };
  const w = new ShaderWriter(layout, limits);
  for (const flag of flags) w.place(flag, w.workgroup("array<u32, 1>", "flag"), "");
  const locals = (loop.locals ?? []).filter((buffer) => !flags.has(buffer) && plan?.residents.has(buffer) !== true);
  const { near, far } = layout.locals(
    locals,
    limits.workgroupBytes - reserved(limits.invocations, plan !== null) - 16 * flags.size,
  );
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
  const own = new Set(loop.locals);
  const isShared = (buffer: ProgramBuffer): boolean => !own.has(buffer);
  w.bind(
    kernels.flatMap((kernel) => [...readBy(kernel)]).filter(isShared),
    new Set(kernels.flatMap(writtenBy).filter(isShared)),
    vectorsIn(kernels, "workgroup", limits),
  );
  if (loop.length < w.groupsOf(loop.length)) w.line(`if (group >= ${loop.length}u) { return; }`);
  w.nameCounter(loop.counter, "group");
  new StepWriter(w, { near, far }, kernels, plan && new RowWriter(w, plan)).write(loop.body);
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
  /** Null if nothing stays in registers. */
  private readonly rows: RowWriter | null;
  /** Buffers in storage that some kernel writes, and another kernel reads or writes. */
  private readonly passedOn: ReadonlySet<ProgramBuffer>;
  /** Since the last barrier. */
  private touched: Touch[] = [];
  /** Whether storage was written since that is passed on. */
  private wroteStorage = false;

  constructor(
    w: ShaderWriter,
    locals: { readonly near: Places; readonly far: Places },
    kernels: readonly Kernel[],
    rows: RowWriter | null,
  ) {
    this.w = w;
    this.rows = rows;
    this.locals = locals;
    const { near } = locals;
    const read = new Set(kernels.flatMap((kernel) => [...readBy(kernel)]));
    const written = kernels.flatMap(writtenBy);
    const isShared = (buffer: ProgramBuffer): boolean =>
      read.has(buffer) || written.indexOf(buffer) < written.lastIndexOf(buffer);
    const isNear = (buffer: ProgramBuffer): boolean => near.offsets.has(buffer) || rows?.isResident(buffer) === true;
    this.passedOn = new Set(written.filter((buffer) => isShared(buffer) && !isNear(buffer)));
  }

  write(steps: readonly Step[]): void {
    for (const step of steps) {
      if (isKernel(step)) this.kernel(step);
      else if (step.kind === "for") this.for(step);
      else this.while(step);
    }
  }

  private kernel(kernel: Kernel): void {
    const inMemory = (buffer: ProgramBuffer): boolean => this.rows?.isResident(buffer) !== true;
    const changes = (buffer: ProgramBuffer): boolean => inMemory(buffer) && this.rows?.isLoaded(buffer) !== true;
    const touches = [
      ...[...readBy(kernel)].filter(changes).map((buffer) => this.touch(buffer, false)),
      ...writtenBy(kernel)
        .filter(inMemory)
        .map((buffer) => this.touch(buffer, true)),
    ];
    if (touches.some((touch) => this.touched.some((before) => conflict(before, touch)))) this.barrier();
    if (this.rows?.write(kernel) !== true) writeKernel(this.w, kernel, "workgroup");
    this.touched.push(...touches);
    this.wroteStorage ||= writtenBy(kernel).some((buffer) => this.passedOn.has(buffer) && inMemory(buffer));
  }

  private for(loop: ForLoop): void {
    const { w } = this;
    const { counter, length, reverse, body } = loop;
    if (length === 0) return;
    this.barrier();
    const entered = this.enter(loop);
    const step = w.fresh("t");
    w.block(`for (var ${step} = 0u; ${step} < ${length}u; ${step}++)`, () => {
      w.nameCounter(counter, reverse ? w.let(`${length - 1}u - ${step}`, "t") : step);
      this.write(body);
      this.barrier();
    });
    this.leave(entered);
  }

  private while(loop: WhileLoop): void {
    const { w } = this;
    const { test, flag, body, maxSteps } = loop;
    if (maxSteps === 0) return;
    this.barrier();
    const entered = this.enter(loop);
    const step = w.fresh("n");
    w.block(`for (var ${step} = 0u; ${step} < ${maxSteps}u; ${step}++)`, () => {
      this.write(test);
      // This waits for everybody, before and after.
      if (this.wroteStorage) this.barrier();
      w.line(`if (workgroupUniformLoad(&${w.nameOf(flag)})[0] == 0u) { break; }`);
      this.touched = [];
      this.waited();
      this.write(body);
      this.barrier();
    });
    this.leave(entered);
  }

  /** Has registers hold what a loop touches that begins here. */
  private enter(loop: ForLoop | WhileLoop): Entered | null {
    const entered = this.rows?.enter(loop) ?? null;
    for (const buffer of entered?.held ?? []) this.touched.push(this.touch(buffer, false));
    return entered;
  }

  private leave(entered: Entered | null): void {
    // In the last iteration, too.
    for (const buffer of entered?.held ?? []) this.touched.push(this.touch(buffer, false));
    for (const buffer of entered?.leave() ?? []) {
      this.touched.push(this.touch(buffer, true));
      this.wroteStorage ||= this.passedOn.has(buffer);
    }
  }

  private waited(): void {
    this.w.scratchIsFree();
    this.rows?.settled();
  }

  private barrier(): void {
    if (this.touched.length === 0) {
      this.rows?.settle();
      return;
    }
    // Each of the two lets everybody arrive, and makes one kind of memory visible.
    if (this.wroteStorage) this.w.line("storageBarrier();");
    this.w.line("workgroupBarrier();");
    this.touched = [];
    this.wroteStorage = false;
    this.waited();
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
