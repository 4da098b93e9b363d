/**
 * Random loops over rows, some of which stay in registers; graphs of `randomGraph` are too narrow for any to. A row stops
 * by what it compares, so that a program says nothing where rounding decides: it is compared only if the reference gives
 * the same, but for little, for data moved to either side by a hundred times what float32 rounds by.
 */
import {
  concatenate,
  type HostTensor,
  key,
  makeGraph,
  random,
  scan,
  type Tracer,
  where,
  whileLoop,
} from "@banach/autograd";
import { type Graph, optimize } from "@banach/autograd/backend";
import { evaluateGraph } from "@banach/autograd/reference";
import fc from "fast-check";
import { expect, it } from "vitest";
import { HARDWARE, SOFTWARE } from "../../src/codegen/shader-writer.ts";
import { backends, differenceOn, type Shapes, TOLERANCE, weights, worstOf } from "./agreement.ts";
import { limitsOf, shadersOf } from "./shaders.ts";

const keep = { axes: 1, keepDims: true } as const;

/** Moves data for the reference to say whether rounding decides. */
const NUDGE = 1e-5;

/** Of each backend. */
const RUNS = 4;

/** What a loop carries. Those of few columns are not of the form of rows, and stay in memory. */
interface State {
  /** Decides when a row has settled. float32[rows, columns]. */
  readonly y: Tracer;
  /** float32[rows, columns] */
  readonly z: Tracer;
  /** float32[rows] */
  readonly a: Tracer;
  /** float32[rows, 3] */
  readonly q: Tracer;
  /** int32[rows] */
  readonly count: Tracer;
  /** int32[rows, columns] */
  readonly counts: Tracer;
  /** bool[rows, columns] */
  readonly seen: Tracer;
}

/** What a loop reads and does not change. */
interface Matrices {
  /** [columns, columns] */
  readonly square: Tracer;
  /** [columns, 4] */
  readonly thin: Tracer;
  /** [rows, 4, columns] */
  readonly pages: Tracer;
}

/** All numbers of it choose among what there is. They shrink towards 0. */
const choices = fc.record({
  seed: fc.nat(0xffff),
  rows: fc.integer({ min: 1, max: 8 }),
  columns: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(8, 9, 16) },
    { weight: 6, arbitrary: fc.constantFrom(24, 32, 40) },
    { weight: 2, arbitrary: fc.constantFrom(64, 96) },
    { weight: 1, arbitrary: fc.constant(256) },
  ),
  nesting: fc.constantFrom("a loop", "a loop in a scan", "a loop in a scan in a loop"),
  steps: fc.integer({ min: 1, max: 3 }),
  reverse: fc.boolean(),
  // All from 4 are one: what it multiplies is touched by other kernels than those of rows.
  predicate: fc.nat(7),
  threshold: fc.constantFrom(0.2, 0.35, 0.5),
  moves: fc.array(fc.record({ move: fc.nat(9), from: fc.nat(7), other: fc.nat(7) }), { minLength: 1, maxLength: 6 }),
  /** Which carries change besides y and a, in bits. */
  changes: fc.nat(31),
  /** Whether what a carry becomes is read in the same step. */
  isNewRead: fc.boolean(),
  ends: fc.tuple(fc.nat(7), fc.nat(7), fc.nat(7), fc.nat(7)),
});
type Choices = typeof choices extends fc.Arbitrary<infer T> ? T : never;

/** Values of a step, of which later ones are made: [rows, columns] and [rows, 1]. */
interface Pool {
  readonly wide: Tracer[];
  readonly narrow: Tracer[];
}

/** The newest is the first choice. */
const pick = (values: readonly Tracer[], choice: number): Tracer =>
  values[values.length - 1 - (choice % values.length)]!;

/** Adds one value, of the size of those that it is made of or less, so that loops stay bounded. */
function move(pool: Pool, state: State, matrices: Matrices, { move, from, other }: Choices["moves"][number]): void {
  const [w, v, n] = [pick(pool.wide, from), pick(pool.wide, other), pick(pool.narrow, other)];
  const [rows, columns] = [w.dim(0), w.dim(1)];
  const { wide, narrow } = pool;
  if (move === 0) narrow.push(w.mul(v).mean(keep).tanh());
  else if (move === 1) narrow.push(w.max(keep).mul(0.3).add(n.mul(0.5)));
  else if (move === 2) wide.push(w.mul(n).tanh().add(v.mul(0.1)));
  else if (move === 3) wide.push(where(w.greater(n), w, v.mul(0.5)));
  else if (move === 4) {
    const half = columns >> 1;
    wide.push(concatenate([w.sliceAxis(1, half, columns), v.sliceAxis(1, 0, half)], 1).mul(0.7));
  } else if (move === 5) {
    const turned = w.matmul(weights(matrices.square));
    wide.push(turned.add(w.matmul(weights(matrices.thin)).matmul(matrices.thin.transpose()).mul(0.1)));
  } else if (move === 6) {
    const place = state.q.mul(n).argmax(1).astype("float32").expandDims(1);
    narrow.push(n.mul(state.q).tanh().sum(keep).mul(0.2).add(place.mul(0.1)));
  } else if (move === 7) {
    const along = matrices.pages.mul(w.reshape([rows, 1, columns])).mean({ axes: 2 });
    wide.push(matrices.pages.mul(along.reshape([rows, 4, 1])).mean({ axes: 1 }));
  } else if (move === 8) {
    narrow.push(pick(narrow, from).add(n).tanh());
  } else {
    const large = state.counts.greater(1).or(state.seen);
    const share = large.astype("int32").sum(keep).astype("float32").div(columns);
    narrow.push(share.add(state.count.astype("float32").expandDims(1).mul(0.01).tanh()));
  }
}

/** A step of a loop. Carries halve or so, and little is added. */
function body(state: State, matrices: Matrices, more: readonly Tracer[], choice: Choices): State {
  const { y, z, a, q, count, counts, seen } = state;
  const pool: Pool = { wide: [z, y, ...more], narrow: [y.square().mean(keep), a.expandDims(1)] };
  for (const each of choice.moves) move(pool, state, matrices, each);
  const [first, second, third, fourth] = choice.ends;
  const changes = (bit: number): boolean => ((choice.changes >> bit) & 1) === 1;
  const n = pick(pool.narrow, first);
  const share = n.reshape([n.dim(0)]).mul(0.3);
  const after = a.mul(0.5).add(share).add(0.1);
  const turned = changes(0) ? q.mul(0.9).add(n.mul(0.05)) : q;
  if (choice.isNewRead) pool.narrow.push(after.add(turned.sum({ axes: 1 }).mul(0.1)).expandDims(1));
  const [w, v, m] = [pick(pool.wide, second), pick(pool.wide, third), pick(pool.narrow, fourth)];
  const large = w.greater(m.add(0.1));
  return {
    y: y.mul(0.6).add(w.tanh().mul(0.05)).add(m.tanh().mul(0.05).mul(y.tanh())),
    z: changes(1) ? v.mul(0.4).add(y.mul(0.1)) : z,
    a: after,
    q: turned,
    count: changes(2) ? count.add(large.astype("int32").sum({ axes: 1 })) : count,
    counts: changes(3) ? counts.add(large.astype("int32")) : counts,
    seen: changes(4) ? seen.or(large) : seen,
  };
}

/** Which rows go on. */
function goesOn({ y, a, q, count }: State, { predicate, threshold }: Choices): Tracer {
  const size = y.abs().max({ axes: 1 });
  if (predicate === 0) return size.greater(threshold);
  if (predicate === 1) return y.square().mean({ axes: 1 }).sqrt().greater(threshold);
  if (predicate === 2) return y.greater(threshold).any({ axes: 1 });
  if (predicate === 3) return size.greater(threshold).and(count.less(9));
  const place = a.expandDims(1).mul(q).argmax(1).astype("float32");
  return size.add(place.mul(0.02)).greater(threshold);
}

function loop(state: State, matrices: Matrices, more: readonly Tracer[], choice: Choices) {
  const most = choice.nesting === "a loop in a scan in a loop" ? 3 : 6;
  return whileLoop(
    (each: State) => goesOn(each, choice),
    (each: State) => body(each, matrices, more, choice),
    state,
    { maxSteps: most },
  );
}

/** A loop in each step of a scan; what it found is read after it. */
function loops(state: State, xs: Tracer, matrices: Matrices, choice: Choices) {
  const step = (each: State, x: Tracer) => {
    const { carry, steps } = loop({ ...each, y: each.y.add(x.mul(0.3)) }, matrices, [x], choice);
    return [carry, [carry.y.mul(carry.a.expandDims(1)), steps]] as const;
  };
  return scan(step, state, xs, { reverse: choice.reverse });
}

const shapesOf = ({ rows, columns, steps }: Choices): Shapes => [
  [rows, columns],
  [rows, columns],
  [rows],
  [rows, 3],
  [steps, rows, columns],
  [columns, columns],
  [columns, 4],
  [rows, 4, columns],
];

type Eight = readonly [Tracer, Tracer, Tracer, Tracer, Tracer, Tracer, Tracer, Tracer];

function program(args: readonly Tracer[], choice: Choices): readonly Tracer[] {
  const [y, z, a, q, xs, square, thin, pages] = args as Eight;
  const matrices = { square, thin, pages };
  const counts = z.mul(0).astype("int32");
  const state: State = { y, z, a, q, count: a.mul(2).astype("int32"), counts, seen: z.greater(1) };
  const results = (found: State, ...others: readonly Tracer[]): readonly Tracer[] =>
    [...Object.values(found), found.z.mul(found.a.expandDims(1)), ...others].map((each) => each.astype("float32"));
  if (choice.nesting === "a loop") {
    const { carry, steps } = loop(state, matrices, [xs.index(0, 0)], choice);
    return results(carry, steps);
  }
  if (choice.nesting === "a loop in a scan") {
    const [found, ys] = loops(state, xs, matrices, choice);
    return results(found, ...ys);
  }
  const { carry, steps } = whileLoop(
    (each: State) => goesOn(each, choice),
    (each: State): State => {
      const [found, [ys]] = loops(each, xs, matrices, choice);
      const next = found.y.mul(0.4).add(each.y.mul(0.2));
      return { ...found, y: next.add(ys.index(0, 0).tanh().mul(0.02)) };
    },
    state,
    { maxSteps: 3 },
  );
  return results(carry, steps);
}

/** Data of the shapes of a program's inputs, others for each `first`. */
const normals = (choice: Choices, first: number): readonly HostTensor[] =>
  shapesOf(choice).map((shape, i) => random.normal(random.foldIn(key(choice.seed), first + i), shape));

function graphOf(choice: Choices) {
  const tensors = normals(choice, 0);
  const graph: Graph = optimize(makeGraph((args: readonly Tracer[]) => program(args, choice), tensors));
  return { graph, data: tensors.map(({ data }) => data) };
}

/** A program with data, and what the reference says; null where rounding decides what that is. */
function compared(choice: Choices) {
  const { graph, data } = graphOf(choice);
  const expected = evaluateGraph(graph, data);
  const nudges = normals(choice, 100);
  const isClear = [NUDGE, -NUDGE].every((by) => {
    const moved = data.map((values, i) => Float32Array.from(values, (x, k) => x + by * nudges[i]!.data[k]!));
    return worstOf(expected, evaluateGraph(graph, moved)) < 10 * TOLERANCE;
  });
  return isClear ? { graph, data, expected } : null;
}

it.each([
  ["hardware", HARDWARE],
  ["software", SOFTWARE],
] as const)("random loops over rows keep some in registers: %s", (_, tuning) => {
  const graphs = fc.sample(choices, { numRuns: 20, seed: 1 }).map((choice) => graphOf(choice).graph);
  const keeps = (graph: Graph): boolean =>
    shadersOf(graph, limitsOf(tuning)).some(({ code }) => /own\d+ = /.test(code));
  expect(graphs.filter(keeps).length).toBeGreaterThan(15);
});

it.each(Object.entries(backends))("random loops over rows agree with the interpreter: %s", async (_, backend) => {
  await fc.assert(
    fc.asyncProperty(choices, async (choice) => {
      const clear = compared(choice);
      fc.pre(clear !== null);
      expect(await differenceOn(backend, clear.graph, clear.data, clear.expected)).toBeLessThan(TOLERANCE);
    }),
    // Shrinking comes to an end before the test is ended.
    { numRuns: RUNS, interruptAfterTimeLimit: 50_000 },
  );
  expect(backend.memory().liveBuffers).toBe(0);
});
