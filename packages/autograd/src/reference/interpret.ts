/**
 * The interpreter. A graph is resolved once: variables to numbered slots, equations to kernels, and temporaries to places
 * in one arena, so that running a loop's body many times allocates nothing.
 */
import { ShapeError } from "../errors.ts";
import { type Atom, type Equation, type Graph, type Var } from "../ir/graph.ts";
import { allocateHost, type HostArray, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { verify } from "../ir/verify.ts";
import { ArenaPlan, hostBytes, type Place, viewOf } from "./arena.ts";
import { roundAllToHalf } from "../ir/half.ts";
import { copyHost, requireHost } from "./host.ts";
import { type Kernel, type Program, typeAt } from "./kernel.ts";
import { implement } from "./kernels.ts";

/** A kernel, and the slots that it writes and reads. */
interface Step {
  readonly run: Kernel;
  readonly writes: readonly number[];
  readonly reads: readonly number[];
  /** The slot with the step counts, if this is a while. */
  readonly loopSteps: number | undefined;
}

/** A step of a frame: its lists of arrays are made once and refilled at every run. */
interface BoundStep extends Step {
  readonly outputs: HostArray[];
  readonly inputs: HostArray[];
}

interface Frame {
  /** The array of each slot. */
  readonly arrays: HostArray[];
  readonly steps: readonly BoundStep[];
}

/** Where a slot's array comes from. */
type Source =
  | { readonly kind: "temporary" }
  | { readonly kind: "input" }
  | { readonly kind: "output" }
  | { readonly kind: "constant"; readonly data: HostArray };

interface Slot {
  readonly type: TensorType;
  source: Source;
}

/** The steps and slots of a graph, with aliases resolved and custom_vjp_call replaced by its primal. */
class Resolver {
  readonly slots: Slot[] = [];
  readonly steps: Step[] = [];
  private readonly slotOf = new Map<Var, number>();

  /** Appends the equations of a graph whose inputs are in the given slots; returns the slots of its outputs. */
  inline(graph: Graph, inputs: readonly number[]): number[] {
    graph.inputs.forEach((v, i) => this.slotOf.set(v, inputs[i] as number));
    for (const equation of graph.equations) this.add(equation);
    return graph.outputs.map((atom) => this.read(atom));
  }

  slot(type: TensorType, source: Source): number {
    return this.slots.push({ type, source }) - 1;
  }

  private add(equation: Equation): void {
    const reads = equation.inputs.map((atom) => this.read(atom));
    const implementation = implement(equation, compileProgram);
    switch (implementation.kind) {
      case "alias":
        this.bind(equation, reads);
        break;
      case "inline":
        this.bind(equation, this.inline(implementation.graph, reads));
        break;
      case "kernel": {
        const types = [...equation.outputs.map((v) => v.type), ...implementation.scratch];
        const writes = types.map((type) => this.slot(type, { kind: "temporary" }));
        const loopSteps = equation.primitive === "while" ? writes[equation.outputs.length - 1] : undefined;
        this.steps.push({ run: rounding(implementation.run, types), writes, reads, loopSteps });
        this.bind(equation, writes);
        break;
      }
      default:
        implementation satisfies never;
    }
  }

  private bind(equation: Equation, slots: readonly number[]): void {
    equation.outputs.forEach((v, i) => this.slotOf.set(v, slots[i] as number));
  }

  private read(atom: Atom): number {
    // The verifier has shown that every variable is assigned before it is read.
    if (!("value" in atom)) return this.slotOf.get(atom) as number;
    const data = allocateHost(atom.type.dtype, 1).fill(atom.value);
    if (atom.type.dtype === "float16") roundAllToHalf(data);
    return this.slot(atom.type, { kind: "constant", data });
  }
}

/** The kernel, with results of type float16 rounded after it. */
function rounding(run: Kernel, types: readonly TensorType[]): Kernel {
  const halves = types.flatMap((type, i) => (type.dtype === "float16" ? [i] : []));
  if (halves.length === 0) return run;
  return (outputs, inputs) => {
    run(outputs, inputs);
    for (const i of halves) roundAllToHalf(outputs[i] as HostArray);
  };
}

/** Compiles a verified graph. */
export function compileProgram(graph: Graph): Program {
  const resolver = new Resolver();
  const inputSlots = graph.inputs.map((v) => resolver.slot(v.type, { kind: "input" }));
  const results = resolver.inline(graph, inputSlots);
  const { slots, steps } = resolver;
  // A step writes its result where the caller wants it; what is not a step's own result is copied there at the end.
  const written: number[] = [];
  const copied: number[] = [];
  results.forEach((slot, i) => {
    const owner = slots[slot];
    if (owner?.source.kind === "temporary") {
      owner.source = { kind: "output" };
      written.push(i);
    } else {
      copied.push(i);
    }
  });
  const { places, bytes } = planArena(slots, steps, results);
  // Keyed by the arena, a frame lives as long as the run that it belongs to.
  const frames = new WeakMap<Uint8Array, Frame>();
  return {
    arenaBytes: bytes,
    run: (arena, outputs, inputs, loopSteps) => {
      let frame = frames.get(arena);
      if (frame === undefined) {
        frame = makeFrame(slots, steps, places, arena);
        frames.set(arena, frame);
      }
      const { arrays } = frame;
      for (let i = 0; i < inputs.length; i++) arrays[i] = inputs[i] as HostArray;
      for (const i of written) arrays[results[i] as number] = outputs[i] as HostArray;
      runSteps(frame, loopSteps);
      for (const i of copied) (outputs[i] as HostArray).set(arrays[results[i] as number] as HostArray);
    },
  };
}

function runSteps({ arrays, steps }: Frame, loopSteps: number[] | undefined): void {
  for (let s = 0; s < steps.length; s++) {
    const step = steps[s] as BoundStep;
    const { outputs, inputs, writes, reads } = step;
    for (let i = 0; i < writes.length; i++) outputs[i] = arrays[writes[i] as number] as HostArray;
    for (let i = 0; i < reads.length; i++) inputs[i] = arrays[reads[i] as number] as HostArray;
    step.run(outputs, inputs);
    if (step.loopSteps !== undefined && loopSteps !== undefined) {
      loopSteps.push(largest(arrays[step.loopSteps] as HostArray));
    }
  }
}

function largest(counts: HostArray): number {
  let most = 0;
  for (const count of counts) most = Math.max(most, count);
  return most;
}

function makeFrame(
  slots: readonly Slot[],
  steps: readonly Step[],
  places: readonly (Place | undefined)[],
  arena: Uint8Array,
): Frame {
  const nothing = new Uint8Array(0);
  const arrays = slots.map(({ type, source }, i): HostArray => {
    const place = places[i];
    if (place !== undefined) return viewOf(arena, place, type.dtype, sizeOf(type.shape));
    return source.kind === "constant" ? source.data : nothing;
  });
  return { arrays, steps: steps.map((step) => ({ ...step, outputs: [], inputs: [] })) };
}

/** Places for the temporaries: each is held from the step that writes it to the last one that reads it. */
function planArena(
  slots: readonly Slot[],
  steps: readonly Step[],
  results: readonly number[],
): { places: readonly (Place | undefined)[]; bytes: number } {
  const lastUse = new Map<number, number>();
  steps.forEach(({ writes, reads }, s) => {
    for (const slot of [...writes, ...reads]) lastUse.set(slot, s);
  });
  for (const slot of results) lastUse.set(slot, Infinity);
  const plan = new ArenaPlan();
  const places: (Place | undefined)[] = slots.map(() => undefined);
  steps.forEach(({ writes, reads }, s) => {
    for (const slot of writes) {
      const { type, source } = slots[slot] as Slot;
      if (source.kind === "temporary") places[slot] = plan.reserve(hostBytes(type.dtype, sizeOf(type.shape)));
    }
    for (const slot of new Set([...writes, ...reads])) {
      const place = places[slot];
      if (place !== undefined && lastUse.get(slot) === s) plan.release(place);
    }
  });
  return { places, bytes: plan.bytes };
}

export interface GraphResult {
  readonly outputs: HostArray[];
  /** Iterations made by each while outside any loop, in program order; the largest over its rows. */
  readonly loopSteps: readonly number[];
}

export interface CompiledGraph {
  /** Bytes that a run needs besides its inputs and outputs. */
  readonly temporaryBytes: number;
  /** Reads the inputs, which must be of the graph's types, and returns new arrays. */
  run(inputs: readonly HostArray[]): GraphResult;
}

/** Compiles a graph that has been verified. */
export function compileGraph(graph: Graph): CompiledGraph {
  const program = compileProgram(graph);
  return {
    temporaryBytes: program.arenaBytes,
    run: (inputs) => {
      const outputs = graph.outputs.map(({ type }) => allocateHost(type.dtype, sizeOf(type.shape)));
      const loopSteps: number[] = [];
      program.run(new Uint8Array(program.arenaBytes), outputs, inputs, loopSteps);
      return { outputs, loopSteps };
    },
  };
}

/** Verifies and runs a graph. Throws ShapeError or DTypeError for inputs that are not of the graph's types. */
export function evaluateGraph(graph: Graph, inputs: readonly HostArray[]): HostArray[] {
  verify(graph);
  if (inputs.length !== graph.inputs.length) {
    throw new ShapeError(`evaluateGraph: the graph takes ${graph.inputs.length} inputs, got ${inputs.length}`);
  }
  const copies = inputs.map((data, i) => {
    const type = typeAt(graph.inputs, i);
    requireHost(`evaluateGraph: input ${i}`, data, type);
    return copyHost(data, type);
  });
  return compileGraph(graph).run(copies).outputs;
}
