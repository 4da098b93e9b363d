import { planMemory, type Program } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { Layout } from "../../src/codegen/layout.ts";
import { type LaneLoop, Nest } from "../../src/codegen/nest.ts";
import { type Expr, type FunctionBuilder, i32, type Local } from "../../src/wasm/index.ts";
import { instantiate, moduleWithMemory } from "../wasm/support.ts";

const size = 64;
const nothing: Program = { inputs: [], outputs: [], inputTypes: [], outputTypes: [], temporaries: [], steps: [] };

/** How often each of 64 elements is visited; `visit` is given its address. */
function visits(
  args: readonly number[],
  write: (nest: Nest, visit: () => void, args: readonly Local<"i32">[], f: FunctionBuilder) => void,
): number[] {
  const m = moduleWithMemory();
  const layout = new Layout(m, nothing, planMemory(nothing, 16));
  const run = m.func("run", ["i32", "i32"], [], (f, ...given) => {
    const nest = new Nest(f, layout, [], []);
    const cursor = nest.add(i32.const(0), [4]);
    const visit = (): void => {
      const { pointer, offset } = nest.at(cursor);
      f.i32.store(pointer, i32.add(i32.load(pointer, offset), 1), offset);
    };
    write(nest, visit, given, f);
  });
  m.export("run", run);
  const exports = instantiate(m.build());
  exports["run"]!(...args);
  return [...new Int32Array((exports["memory"] as unknown as { buffer: ArrayBuffer }).buffer, 0, size)];
}

const expected = (visited: (i: number) => boolean): number[] =>
  Array.from({ length: size }, (_, i) => (visited(i) ? 1 : 0));

it.each([0, 1, 2, 3, 4, 5, 7, 8, 13])("runs %i times, the bounds constant or not, unrolled or not", (count) => {
  for (const copies of [1, 2, 4]) {
    const same = expected((i) => i >= 6 && i < 6 + 3 * count && i % 3 === 0);
    const constant = visits([0, 0], (nest, visit) => {
      nest.loop(0, { from: 6, count }, 3, visit, copies);
    });
    const dynamic = visits([6, count], (nest, visit, [from, runs]) => {
      nest.loop(0, { from: from!, count: runs! }, 3, visit, copies);
    });
    expect(constant).toEqual(same);
    expect(dynamic).toEqual(same);
  }
});

/** Marks what is visited four elements at a time as 1, and the others as 1 too. */
function lanes(length: number, options: (args: readonly Local<"i32">[]) => LaneLoop, args = [0, 0]): number[] {
  return visits(args, (nest, visit, given) => {
    nest.lanes(
      0,
      length,
      (live) => {
        for (let lane = 0; lane < live; lane++) nest.moved(0, lane, visit);
      },
      options(given),
    );
  });
}

it.each([1, 3, 4, 6, 24, 27])("covers %i elements in lanes, whoever takes which part", (length) => {
  const all = expected((i) => i < length);
  for (const copies of [1, 2, 4]) {
    expect(lanes(length, () => ({ copies }))).toEqual(all);
    const vectors = Math.floor(length / 4);
    const split = vectors >> 1;
    const part = ([from, count]: readonly Expr<"i32">[]): LaneLoop["vectors"] => ({ from: from!, count: count! });
    const early = lanes(length, (args) => ({ copies, vectors: part(args)!, rest: () => undefined }), [0, split]);
    const late = lanes(length, (args) => ({ copies, vectors: part(args)! }), [split, vectors - split]);
    expect(early.map((count, i) => count + late[i]!)).toEqual(all);
  }
});
