/**
 * Runs of a program in which nothing is computed: kernels, looks at the flags of whiles and barriers are only written down,
 * for one thread after the other, each in an instance of its own. What may then happen at once can be read off.
 */
import {
  byteLengthOf,
  type ForLoop,
  isKernel,
  type Kernel,
  type ProgramBuffer,
  readBy,
  type Step,
  type WhileLoop,
  writtenBy,
} from "@banach/autograd/backend";
import { Layout } from "../../src/codegen/layout.ts";
import { type KernelCall, RunWriter } from "../../src/codegen/run.ts";
import { Threads } from "../../src/threads/index.ts";
import { type FunctionBuilder, i32, ModuleBuilder, webAssembly } from "../../src/wasm/index.ts";

/** A program, and how its threads share it. */
export interface Scene {
  readonly steps: readonly Step[];
  /** Buffers given from outside. */
  readonly inputs: readonly ProgramBuffer[];
  /** Places of the other ones in the arena. */
  readonly offsets: ReadonlyMap<ProgramBuffer, number>;
  /** Kernels of which every thread does a part. */
  readonly shared: ReadonlySet<Kernel>;
  /** Loops whose iterations are divided. */
  readonly divided: ReadonlySet<ForLoop>;
  /** How often the body of each while runs, unless maxSteps ends it before. */
  readonly iterations: ReadonlyMap<WhileLoop, number>;
}

/** A kernel, or a while at the time that its flag is read; and where it stands. */
interface Place {
  readonly what: Kernel | WhileLoop;
  readonly around: readonly (ForLoop | WhileLoop)[];
}

export interface Event {
  readonly name: string;
  /** Barriers that the thread has passed before. */
  readonly phase: number;
  readonly read: readonly ProgramBuffer[];
  readonly written: readonly ProgramBuffer[];
  /** What threads have divided among them so that their parts do not meet, if this is in it: an iteration of the program. */
  readonly part: string | null;
  /** Whether every thread has to do its part of it. */
  readonly shared: boolean;
}

export interface Recorded {
  readonly events: readonly Event[];
  readonly barriers: number;
  /** Whether nothing follows the last barrier. */
  readonly endsTogether: boolean;
  /** What is reported of the outermost whiles. */
  readonly reports: readonly number[];
}

/** What each thread does. One alone has nobody to wait for. */
export function record(scene: Scene, size: number): readonly Recorded[] {
  const { module, places, fors } = write(scene, size);
  const api = webAssembly();
  if (api === undefined) throw new Error("there is no WebAssembly here");
  const compiled = new api.Module(module.build());
  return Array.from({ length: size }, (_, thread) => {
    const recorder = new Recorder(scene, places, fors);
    const { exports } = new api.Instance(compiled, { log: recorder.imports });
    (exports["run"] as (thread: number) => void)(thread);
    return recorder.recorded();
  });
}

function write(scene: Scene, size: number) {
  const module = new ModuleBuilder();
  const count = module.importFunction("log", "count", ["i32", "i32"], []);
  const kernel = module.importFunction("log", "kernel", ["i32"], []);
  const look = module.importFunction("log", "look", ["i32"], ["i32"]);
  const barrier = module.importFunction("log", "barrier", [], []);
  const report = module.importFunction("log", "report", ["i32"], []);
  module.memory({ min: 1 });
  // A look gives an address: at 0 there is a flag that is not set, at 1 one that is.
  module.data(0, new Uint8Array([0, 1]));

  const places = placesIn(scene.steps, []);
  const fors = [...new Set(places.flatMap(({ around }) => around.filter((loop) => loop.kind === "for")))];
  const program = { inputs: scene.inputs, outputs: [], inputTypes: [], outputTypes: [], temporaries: [], steps: [] };
  const plan = { offsets: scene.offsets, bytes: 1024, local: localsOf(fors) };
  const layout = new Layout(module, program, plan);
  const threads = Object.assign(new Threads(module, { size, firstMaySleep: true }), {
    barrier: (f: FunctionBuilder) => {
      f.call(barrier);
    },
  });
  const tellCounters = (f: FunctionBuilder, { around }: Place): void => {
    for (const loop of around) if (loop.kind === "for") f.call(count, fors.indexOf(loop), layout.counter(loop.counter));
  };
  const calls = new Map<Kernel, KernelCall>();
  places.forEach((place, id) => {
    if (!isKernel(place.what)) return;
    const func = module.func(`kernel${id}`, [], [], (f) => {
      tellCounters(f, place);
      f.call(kernel, id);
    });
    calls.set(place.what, { func, shared: scene.shared.has(place.what) });
  });
  const run = module.func("run", ["i32"], [], (f, thread) => {
    threads.become(f, thread);
    // Only flags are addressed by the run function, each when it is read.
    const flags = Object.assign(layout, {
      base: (flag: ProgramBuffer) => {
        const id = places.findIndex(({ what }) => what.kind === "while" && what.flag === flag);
        tellCounters(f, places[id]!);
        return f.call(look, id);
      },
    });
    const isDivided = (loop: ForLoop): boolean => scene.divided.has(loop);
    const context = { layout: flags, calls, threads: size === 1 ? null : threads, isDivided };
    new RunWriter(f, context).write(scene.steps, (steps) => {
      f.call(report, i32.add(steps, 0));
    });
  });
  module.export("run", run);
  return { module, places, fors };
}

/** Places of kernels and flags. Each while has a flag of its own, by which it is found. */
function placesIn(steps: readonly Step[], around: Place["around"]): Place[] {
  return steps.flatMap((step): Place[] => {
    if (isKernel(step)) return [{ what: step, around }];
    const inside = [...around, step];
    if (step.kind === "for") return placesIn(step.body, inside);
    return [...placesIn(step.test, inside), { what: step, around: inside }, ...placesIn(step.body, inside)];
  });
}

function localsOf(fors: readonly ForLoop[]) {
  const locals = fors.flatMap((loop) => loop.locals ?? []);
  return { offsets: new Map(locals.map((buffer, i) => [buffer, 64 * i])), bytes: 64 * locals.length };
}

/** What one thread does. */
class Recorder {
  private readonly scene: Scene;
  private readonly places: readonly Place[];
  private readonly fors: readonly ForLoop[];
  private readonly counters = new Map<ForLoop, number>();
  private readonly looks = new Map<WhileLoop, number>();
  private readonly events: Event[] = [];
  private readonly reports: number[] = [];
  private phase = 0;
  private endsTogether = false;

  constructor(scene: Scene, places: readonly Place[], fors: readonly ForLoop[]) {
    this.scene = scene;
    this.places = places;
    this.fors = fors;
  }

  readonly imports = {
    count: (loop: number, value: number): void => {
      this.counters.set(this.fors[loop]!, value);
    },
    kernel: (id: number): void => {
      const place = this.places[id]!;
      const kernel = place.what as Kernel;
      this.add(id, place, [...readBy(kernel)], writtenBy(kernel));
    },
    look: (id: number): number => {
      const place = this.places[id]!;
      const loop = place.what as WhileLoop;
      this.add(id, place, [loop.flag], []);
      const before = this.looks.get(loop) ?? 0;
      this.looks.set(loop, before + 1);
      const iterations = this.scene.iterations.get(loop) ?? 0;
      return iterations >= loop.maxSteps || before % (iterations + 1) < iterations ? 1 : 0;
    },
    barrier: (): void => {
      this.phase++;
      this.endsTogether = true;
    },
    report: (steps: number): void => {
      this.reports.push(steps);
      this.endsTogether = false;
    },
  };

  recorded(): Recorded {
    const { events, phase, endsTogether, reports } = this;
    return { events, barriers: phase, endsTogether, reports };
  }

  private add(id: number, place: Place, read: Event["read"], written: Event["written"]): void {
    const counters = place.around.flatMap((loop) => (loop.kind === "for" ? [this.counters.get(loop)] : []));
    const name = `${place.what.kind}${id}(${counters.join()})`;
    const shared = place.what.kind !== "while" && this.scene.shared.has(place.what);
    this.events.push({ name, phase: this.phase, read, written, part: this.partOf(id, place), shared });
    this.endsTogether = false;
  }

  /** A divided loop or a shared kernel, and the iterations of the loops around it. */
  private partOf(id: number, { what, around }: Place): string | null {
    const { divided, shared } = this.scene;
    const at = around.findIndex((loop) => loop.kind === "for" && divided.has(loop));
    const isShared = what.kind !== "while" && shared.has(what);
    if (at < 0 && !isShared) return null;
    const outer = at < 0 ? around : around.slice(0, at);
    const iteration = outer.map((loop) => (loop.kind === "for" ? this.counters.get(loop) : this.looks.get(loop)) ?? 0);
    const loop = around[at];
    return `${loop?.kind === "for" ? loop.counter.name : id}(${iteration.join()})`;
  }
}

/** Pairs of events of two threads that nothing keeps apart, though one of them writes what the other one touches. */
export function races(scene: Scene, threads: readonly Recorded[]): string[] {
  const found = new Set<string>();
  const extentOf = extentsOf(scene);
  const meet = (a: readonly ProgramBuffer[], b: readonly ProgramBuffer[]): boolean =>
    a.some((x) => b.some((y) => overlap(extentOf(x), extentOf(y))));
  threads.forEach(({ events }, thread) => {
    const phases = new Map<number, Event[]>();
    for (const event of events) phases.set(event.phase, [...(phases.get(event.phase) ?? []), event]);
    for (const other of threads.slice(thread + 1)) {
      for (const b of other.events) {
        for (const a of phases.get(b.phase) ?? []) {
          if (a.part !== null && a.part === b.part) continue;
          if (meet(a.written, [...b.read, ...b.written]) || meet(a.read, b.written)) found.add(`${a.name} ${b.name}`);
        }
      }
    }
  });
  return [...found];
}

interface Extent {
  readonly region: unknown;
  readonly from: number;
  readonly to: number;
}

/** Where a buffer lies, or null if every thread has one of its own. Not the layout's word, which is what is tested. */
function extentsOf({ inputs, offsets }: Scene): (buffer: ProgramBuffer) => Extent | null {
  return (buffer) => {
    if (inputs.includes(buffer)) return { region: buffer, from: 0, to: 1 };
    const from = offsets.get(buffer);
    if (from === undefined) return null;
    return { region: "arena", from, to: from + byteLengthOf({ dtype: buffer.dtype, shape: [buffer.size] }) };
  };
}

function overlap(a: Extent | null, b: Extent | null): boolean {
  return a !== null && b !== null && a.region === b.region && a.from < b.to && b.from < a.to;
}
