/** The barriers of a program that threads share: enough of them, for all threads the same ones, and none without need. */
import {
  type Access,
  type Expression,
  type ForLoop,
  isKernel,
  type Kernel,
  type ProgramBuffer,
  type Step,
  type WhileLoop,
} from "@banach/autograd/backend";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { races, record, type Scene } from "./recorded-run.ts";

/** Puts a scene together. Its kernels only say what they touch. */
class Writer {
  private readonly inputs: ProgramBuffer[] = [];
  private readonly offsets = new Map<ProgramBuffer, number>();
  private readonly shared = new Set<Kernel>();
  private readonly divided = new Set<ForLoop>();
  private readonly iterations = new Map<WhileLoop, number>();
  private names = 0;

  input(): ProgramBuffer {
    const buffer = this.buffer(4);
    this.inputs.push(buffer);
    return buffer;
  }

  /** A temporary of some elements of 4 bytes. */
  at(offset: number, size = 4): ProgramBuffer {
    const buffer = this.buffer(size);
    this.offsets.set(buffer, offset);
    return buffer;
  }

  /** To be a local of a divided loop. */
  local(): ProgramBuffer {
    return this.buffer(4);
  }

  single(read: readonly ProgramBuffer[], written: readonly ProgramBuffer[]): Kernel {
    const access: Access = { offset: 0, strides: [1], loops: [] };
    const args = read.map((buffer): Expression => ({ kind: "read", dtype: buffer.dtype, buffer, access }));
    const value: Expression = { kind: "apply", dtype: "float32", operation: "add", args };
    const result: Expression = { kind: "accumulated", dtype: "float32" };
    const stores = written.map((buffer) => ({ buffer, access, value: result }));
    // A map would not read what it does not store.
    return { kind: "reduce", shape: [4], reduced: [], combine: "sum", value, stores };
  }

  all(read: readonly ProgramBuffer[], written: readonly ProgramBuffer[]): Kernel {
    const kernel = this.single(read, written);
    this.shared.add(kernel);
    return kernel;
  }

  for(length: number, body: readonly Step[], reverse = false): ForLoop {
    return { kind: "for", counter: { name: `i${this.names++}` }, length, reverse, body, locals: null };
  }

  /** A loop whose iterations do not depend on each other; divided unless it has one. */
  each(length: number, locals: readonly ProgramBuffer[], body: readonly Step[], divided = true): ForLoop {
    const loop = { ...this.for(length, body), locals };
    if (divided && length > 1) this.divided.add(loop);
    return loop;
  }

  while(
    flag: ProgramBuffer,
    test: readonly Step[],
    body: readonly Step[],
    { iterations = 2, maxSteps = 10 }: { readonly iterations?: number; readonly maxSteps?: number } = {},
  ): WhileLoop {
    const loop: WhileLoop = { kind: "while", test, flag, body, maxSteps, steps: this.buffer(1) };
    this.iterations.set(loop, iterations);
    return loop;
  }

  scene(steps: readonly Step[]): Scene {
    const { inputs, offsets, shared, divided, iterations } = this;
    return { steps, inputs, offsets, shared, divided, iterations };
  }

  private buffer(size: number): ProgramBuffer {
    return { name: `b${this.names++}`, dtype: "float32", size };
  }
}

type Write = (w: Writer) => readonly Step[];

function sceneOf(write: Write): Scene {
  const writer = new Writer();
  return writer.scene(write(writer));
}

const countsOf = (names: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

/** Whether the run of each of `size` threads and the runs of all together are right. */
function check(scene: Scene, size: number): void {
  const threads = record(scene, size);
  expect(races(scene, threads)).toEqual([]);
  for (const { barriers, endsTogether } of threads) {
    expect(barriers).toBe(threads[0]?.barriers);
    expect(endsTogether).toBe(true);
  }
  const [alone] = record(scene, 1);
  expect(threads.map(({ reports }) => reports)).toEqual(
    threads.map((_, thread) => (thread === 0 ? alone!.reports : [])),
  );
  const shared = new Set(alone!.events.filter((event) => event.shared).map(({ name }) => name));
  // Everything is done, by one thread or by each its part: what all of them do is there once for each of them.
  const every = threads.map(({ events }) => countsOf(events.map(({ name }) => name)));
  for (const [name, times] of Object.entries(countsOf(alone!.events.map((event) => event.name)))) {
    const own = every.map((counts) => counts[name] ?? 0);
    const total = own.reduce((sum, count) => sum + count, 0);
    const byAll = own.every((count) => count === times);
    const once = total === times;
    const right = shared.has(name) ? byAll : name.startsWith("while") ? byAll || once : once;
    expect(right, `${name}: ${own.join()} of ${times}`).toBe(true);
  }
  expect(new Set(every.flatMap((counts) => Object.keys(counts)))).toEqual(
    new Set(alone!.events.map(({ name }) => name)),
  );
}

const programs: Record<string, Write> = {
  "nothing at all": () => [],
  "kernels that write what others read, read what others write, and write the same": (w) => {
    const [x, y, z] = [w.at(0), w.at(16), w.at(32)];
    return [w.all([x], [y]), w.all([y], [z]), w.all([x], [y]), w.all([], [y]), w.all([z], [x])];
  },
  "memory that overlaps": (w) => [
    w.all([], [w.at(0, 8)]),
    w.all([], [w.at(16, 8)]),
    w.all([w.at(36, 1)], []),
    w.all([], [w.at(0, 16)]),
  ],
  "inputs that are written": (w) => {
    const [x, y] = [w.input(), w.input()];
    return [w.all([x], [y]), w.all([y], [x]), w.single([], [y])];
  },
  "kernels of thread 0 before and after shared ones": (w) => {
    const [x, y] = [w.at(0), w.at(16)];
    return [
      w.single([], [x]),
      w.single([x], [y]),
      w.all([y], [x]),
      w.single([x], [y]),
      w.all([x], [y]),
      w.single([y], []),
    ];
  },
  "a kernel of thread 0 that writes what the others still read": (w) => {
    const x = w.at(0);
    return [w.all([x], []), w.single([], [x])];
  },
  "a loop that carries memory from one iteration to the next": (w) => {
    const [x, y] = [w.at(0), w.at(16)];
    return [w.for(3, [w.all([x], [y])]), w.for(3, [w.all([x], []), w.all([], [w.at(64)]), w.single([y], [x])], true)];
  },
  "loops in loops, empty ones among them": (w) => {
    const x = w.at(0);
    const y = w.at(16);
    return [w.for(2, [w.for(0, [w.all([x], [y])]), w.for(2, [w.all([x], [y]), w.for(3, [])])]), w.all([y], [x])];
  },
  "two whiles, one after the other, whose flags lie at the same place": (w) => {
    const [first, second] = [w.at(0), w.at(0)];
    const test = [w.single([], [first])];
    return [
      w.while(first, test, [w.all([w.at(16)], [w.at(32)])]),
      w.while(second, [w.single([], [second])], [w.all([], [])]),
    ];
  },
  "a while without a body": (w) => {
    const flag = w.at(0);
    return [w.while(flag, [w.all([], [flag])], [])];
  },
  "a while whose body writes the flag": (w) => {
    const flag = w.at(0);
    return [w.all([], [flag]), w.while(flag, [w.all([], [w.at(16)])], [w.single([], [flag])])];
  },
  "a while without a test, whose flag thread 0 writes": (w) => {
    const flag = w.at(0);
    return [w.single([], [flag]), w.while(flag, [], [w.all([], [w.at(16)]), w.single([], [flag])])];
  },
  "the memory of a dead flag, of use for what comes next": (w) => {
    const flag = w.at(0);
    const loop = (): Step => w.while(flag, [w.single([w.at(16)], [flag])], [w.all([], [w.at(16)])]);
    return [loop(), w.single([], [w.at(0)])];
  },
  "the memory of a dead flag, of use for what all do next": (w) => {
    const flag = w.at(0);
    return [w.while(flag, [w.all([w.at(16)], [flag])], [w.all([], [w.at(16)])]), w.all([], [w.at(0, 8)])];
  },
  "a while that is not entered": (w) => {
    const flag = w.at(0);
    const [x, y] = [w.at(16), w.at(32)];
    const loop = w.while(flag, [w.all([x], [flag])], [w.all([x], [])], { maxSteps: 0 });
    return [w.all([x], [y]), loop, w.single([y], [x])];
  },
  "a while that its limit ends, one that its first test ends": (w) => {
    const [first, second] = [w.at(0), w.at(16)];
    return [
      w.while(first, [w.single([], [first])], [w.all([first], [w.at(32)])], { maxSteps: 2 }),
      w.while(second, [w.all([], [second])], [w.all([], [w.at(32)])], { iterations: 0 }),
      w.single([], [w.at(16)]),
    ];
  },
  "a while in a for, a for in a while": (w) => {
    const [outer, inner, x, y] = [w.at(0), w.at(16), w.at(32), w.at(48)];
    return [
      w.for(2, [w.while(outer, [w.single([x], [outer])], [w.for(2, [w.all([y], [x]), w.all([x], [y])])])]),
      w.while(
        outer,
        [w.all([], [outer])],
        [w.while(inner, [w.all([], [inner])], [w.all([x], [y])]), w.single([], [w.at(16)])],
      ),
    ];
  },
  "a while of thread 0 among what all do": (w) => {
    const [flag, x] = [w.at(0), w.at(16)];
    return [w.all([], [flag, x]), w.while(flag, [], [w.single([x], [])]), w.all([], [flag]), w.single([x], [])];
  },
  "divided loops, with memory of their own, between kernels that all do": (w) => {
    const [x, y] = [w.at(0), w.at(16)];
    const [own, other] = [w.local(), w.local()];
    const rows = (length: number): Step =>
      w.each(length, [own, other], [w.single([x], [own]), w.single([own], [other, y])]);
    return [w.all([], [x]), rows(5), w.all([y], [x]), rows(2), rows(1), w.single([y], [x]), rows(7)];
  },
  "divided loops in other loops, and loops in them": (w) => {
    const [flag, x, y] = [w.at(0), w.at(16), w.at(32)];
    const [own, ownFlag] = [w.local(), w.local()];
    const inner = w.while(ownFlag, [w.single([own], [ownFlag])], [w.single([], [own])]);
    const rows = w.each(4, [own, ownFlag], [w.for(2, [w.single([x], [own]), w.single([own], [y])]), inner]);
    return [
      w.for(3, [rows]),
      w.while(flag, [w.all([y], [flag])], [w.each(3, [], [w.single([y], [x])])]),
      w.single([], [x]),
    ];
  },
};

describe.each(Object.entries(programs))("%s", (_, write) => {
  it.each([2, 3])("by %i threads", (size) => {
    check(sceneOf(write), size);
  });
});

const place = fc.record({ at: fc.integer({ min: 0, max: 4 }), size: fc.integer({ min: 1, max: 2 }) });
const places = fc.array(place, { maxLength: 2 });

/** Steps over very little memory, so that most of them have to do with each other. */
const { steps } = fc.letrec<{ steps: Write; step: (w: Writer) => Step }>((tie) => ({
  steps: fc
    .array(tie("step"), { maxLength: 4, depthIdentifier: "steps" })
    .map((list) => (w: Writer) => list.map((step) => step(w))),
  step: fc.oneof(
    { maxDepth: 3, depthIdentifier: "steps", withCrossShrink: true },
    fc.tuple(fc.boolean(), places, places).map(([shared, read, written]) => (w: Writer) => {
      const [from, to] = [read, written].map((list) => list.map(({ at, size }) => w.at(8 * at, 2 * size)));
      return shared ? w.all(from!, to!) : w.single(from!, to!);
    }),
    fc.tuple(fc.integer({ min: 0, max: 2 }), tie("steps")).map(
      ([length, body]) =>
        (w: Writer) =>
          w.for(length, body(w)),
    ),
    fc
      .tuple(place, tie("steps"), tie("steps"), fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 3 }))
      .map(([{ at }, test, body, iterations, maxSteps]) => (w: Writer) => {
        const flag = w.at(8 * at, 1);
        const tests = test(w);
        // Most flags are written by the test.
        return w.while(flag, at === 0 ? tests : [...tests, w.single([], [flag])], body(w), { iterations, maxSteps });
      }),
    fc
      .tuple(fc.integer({ min: 0, max: 4 }), places, places, fc.boolean())
      .map(([length, read, written, divided]) => (w: Writer) => {
        const own = w.local();
        const [from, to] = [read, written].map((list) => list.map(({ at, size }) => w.at(8 * at, 2 * size)));
        return w.each(length, [own], [w.single(from!, [own]), w.single([own], to!)], divided);
      }),
  ),
}));

it("holds for any program", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 2, max: 3 }), (write, size) => {
      check(sceneOf(write), size);
    }),
    { numRuns: 150, seed: 1 },
  );
});

describe("barriers that are needed, and the last one", () => {
  it.each<[string, number, Write]>([
    ["kernels that only read the same", 1, (w) => [w.all([w.at(0)], [w.at(16)]), w.all([w.at(0)], [w.at(32)])]],
    ["what thread 0 does", 1, (w) => [w.single([], [w.at(0)]), w.single([w.at(0)], [w.at(0)])]],
    ["neighbours in memory", 1, (w) => [w.all([], [w.at(16)]), w.all([], [w.at(0)]), w.single([], [w.at(32)])]],
    ["different inputs", 1, (w) => [w.all([], [w.input()]), w.all([], [w.input()])]],
    ["one barrier for two kernels", 2, (w) => [w.all([], [w.at(0)]), w.all([w.at(0)], []), w.all([w.at(0)], [])]],
  ])("%s: %i", (_, barriers, write) => {
    expect(record(sceneOf(write), 2)[0]?.barriers).toBe(barriers);
  });
});

it("loops count up, or down", () => {
  const scene = sceneOf((w) => [w.for(2, [w.all([], [])]), w.for(2, [w.all([], [])], true)]);
  const names = record(scene, 2)[1]?.events.map(({ name }) => name);
  expect(names).toEqual(["reduce0(0)", "reduce0(1)", "reduce1(1)", "reduce1(0)"]);
});

it("a race is seen", () => {
  const writer = new Writer();
  const x = writer.at(0);
  const kernels = [writer.all([], [x]), writer.all([x], [])];
  const scene = writer.scene(kernels.filter(isKernel));
  const threads = record(scene, 2);
  expect(races(scene, threads)).toEqual([]);
  const unordered = threads.map((thread) => ({
    ...thread,
    events: thread.events.map((event) => ({ ...event, phase: 0 })),
  }));
  expect(races(scene, unordered)).toHaveLength(2);
});
