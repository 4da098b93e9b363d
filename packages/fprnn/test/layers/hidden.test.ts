import { array, grad, type HostTensor, key, random, type Tracer, treeLeaves } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  chunked,
  fpMamba,
  fpMamba2,
  fpRnn,
  gmres,
  type HiddenDependence,
  householder,
  implicit,
  type Layer,
  type Mixer,
  orthogonal,
  picard,
  sequential,
  type SolverAndAdjoint,
  type SolveStats,
  throughTime,
} from "../../src/index.ts";
import { distance } from "../problems.ts";

const device = await reference();
const dtype = "float64" as const;
const exact = { tol: 1e-13, maxSteps: 2000 };

type Tree<T> = Readonly<Record<string, T>>;
type AnyLayer = Layer<Tree<Tracer>, Tree<Tracer>, SolveStats>;
type Options = SolverAndAdjoint & {
  readonly hidden?: HiddenDependence;
  readonly argument?: "concatenated" | "symmetric" | "input";
  readonly shortConv?: boolean;
  readonly mixer?: Mixer;
};

const shared = { dModel: 4, mixer: householder({ rank: 2 }), dtype };
const LAYERS = {
  fpRnn: (options: Options) => fpRnn({ ...shared, expand: 1, ...options }) as unknown as AnyLayer,
  fpMamba: (options: Options) => fpMamba({ ...shared, dState: 3, ...options }) as unknown as AnyLayer,
  fpMamba2: (options: Options) =>
    fpMamba2({ ...shared, dState: 3, headDim: 4, chunk: 3, ...options }) as unknown as AnyLayer,
};

type LayerName = keyof typeof LAYERS;
const NAMES = Object.keys(LAYERS) as LayerName[];

const bits = [false, true];
const COMBINATIONS = bits.flatMap((lambda) =>
  bits.flatMap((q) => bits.flatMap((b) => bits.map((c) => ({ lambda, q, b, c })))),
);
const EVERY = NAMES.flatMap((name) => COMBINATIONS.map((hidden) => [name, hidden] as const));

const input = (shape = [2, 6, 4]): HostTensor => random.normal(key(5), shape, { dtype });

/** Parameters of a map that contracts: the gain of the normalisation inside the loop scales the FP-Mambas' whole map. */
function contracting(layer: AnyLayer, seed = 1): Tree<HostTensor> {
  const params = layer.init(key(seed)) as unknown as Tree<{ weight: HostTensor }>;
  (params["out_norm"] ?? params["norm"])?.weight.data.fill(0.1);
  return params as unknown as Tree<HostTensor>;
}

const solved = async (layer: AnyLayer, params: Tree<HostTensor>, x = input()) =>
  device.get(await device.run((p: Tree<Tracer>, u: Tracer) => layer.apply(p, u), params, x));

const gradients = async (layer: AnyLayer, params: Tree<HostTensor>) => {
  const run = grad((p: Tree<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
  return treeLeaves<HostTensor>(await device.get(await device.run(run, params, input())));
};

describe.each(EVERY)("%s with hidden dependence %j", (name, hidden) => {
  it("has one fixed point and state, of every solver, and goes on from it step by step", async () => {
    const params = contracting(LAYERS[name]({ hidden }));
    const whole = await solved(LAYERS[name]({ hidden, solver: picard(exact) }), params);
    expect([...whole.stats.status.data]).toEqual([0, 0]);
    for (const choice of [
      { solver: sequential(exact), adjoint: throughTime() },
      { solver: chunked({ ...exact, chunk: 4 }) },
    ] satisfies SolverAndAdjoint[]) {
      const other = await solved(LAYERS[name]({ hidden, ...choice }), params);
      expect(distance(whole.y, other.y)).toBeLessThan(1e-11);
      for (const { path, leaf } of treeLeaves<HostTensor>(whole.state)) {
        expect(distance(leaf, other.state[path]!), path).toBeLessThan(1e-11);
      }
    }
    const layer = LAYERS[name]({ hidden, solver: sequential(exact), adjoint: throughTime() });
    const steps = (p: Tree<Tracer>, u: Tracer): Tracer => {
      let { y, state } = layer.step(p, u.index(1, 0), layer.initialState<Tracer>(2));
      for (let t = 1; t < 6; t++) ({ y, state } = layer.step(p, u.index(1, t), state));
      return y;
    };
    const last = await device.get(await device.run(steps, params, input()));
    expect(
      distance(
        last,
        array(
          (whole.y.toNested() as number[][][]).map((row) => row[5]!),
          { dtype },
        ),
      ),
    ).toBeLessThan(1e-11);
  });

  it("has one exact gradient: of every parameter, through time and of the implicit function theorem", async () => {
    const solver = gmres({ tol: 1e-13, maxSteps: 200 });
    const params = contracting(LAYERS[name]({ hidden }));
    const wanted = await gradients(
      LAYERS[name]({ hidden, solver: picard(exact), adjoint: implicit({ solver }) }),
      params,
    );
    const found = await gradients(
      LAYERS[name]({ hidden, solver: sequential(exact), adjoint: throughTime({ local: "implicit", solver }) }),
      params,
    );
    wanted.forEach(({ path, leaf }, i) => {
      const size = Math.max(...leaf.data.map(Math.abs));
      expect(size, path).toBeGreaterThan(0);
      expect(distance(leaf, found[i]!.leaf) / size, path).toBeLessThan(1e-9);
    });
  });
});

describe.each(NAMES)("hidden dependence of %s", (name) => {
  const defaults = { lambda: false, q: true, b: name !== "fpRnn", c: true };

  it("is the documented one by default", async () => {
    const params = contracting(LAYERS[name]({}));
    const [implied, given] = [LAYERS[name]({}), LAYERS[name]({ hidden: defaults })];
    expect(given.init(key(1))).toEqual(implied.init(key(1)));
    expect(distance((await solved(implied, params)).y, (await solved(given, params)).y)).toBe(0);
  });

  it.each(["lambda", "b", "c"] as const)("of %s is felt, and absent where its weights are 0", async (part) => {
    const choice = { solver: picard(exact) };
    const [on, off] = [true, false].map((value) => LAYERS[name]({ hidden: { [part]: value }, ...choice }));
    const params = contracting(on!) as unknown as ShapedParams;
    const without = switchedOff(params, name, part);
    const bare = await solved(off!, without.params as never);
    expect(distance(bare.y, (await solved(on!, without.silenced as never)).y)).toBeLessThan(1e-12);
    expect(distance(bare.y, (await solved(on!, params as never)).y)).toBeGreaterThan(1e-6);
  });

  it('of Q is what the argument "input" switches off', async () => {
    const [a, b] = [LAYERS[name]({ hidden: { q: false } }), LAYERS[name]({ argument: "input" })];
    const params = contracting(a);
    expect(contracting(b)).toEqual(params);
    expect(distance((await solved(a, params)).y, (await solved(b, params)).y)).toBe(0);
  });

  it("is of the other parts alone with a mixer that depends on nothing", async () => {
    for (const hidden of [defaults, { lambda: true, b: true, c: false }]) {
      const params = contracting(LAYERS[name]({ hidden, mixer: orthogonal() }));
      const choices = [{ solver: picard(exact) }, { solver: sequential(exact), adjoint: throughTime() }];
      const [whole, front] = await Promise.all(
        choices.map((choice) => solved(LAYERS[name]({ hidden, mixer: orthogonal(), ...choice }), params)),
      );
      expect([...whole!.stats.status.data]).toEqual([0, 0]);
      expect(distance(whole!.y, front!.y)).toBeLessThan(1e-11);
    }
  });

  it("may be absent with short convolutions", async () => {
    const hidden = { lambda: false, q: false, b: false, c: false };
    const layer = LAYERS[name]({ hidden, shortConv: true, solver: picard(exact) });
    const params = contracting(layer);
    const whole = await solved(layer, params);
    const pieces = (p: Tree<Tracer>, u: Tracer): Tracer => {
      const { state } = layer.apply(p, u.sliceAxis(1, 0, 4));
      return layer.apply(p, u.sliceAxis(1, 4, 6), state).y.index(1, -1);
    };
    const last = await device.get(await device.run(pieces, params, input()));
    const wanted = (whole.y.toNested() as number[][][]).map((row) => row[5]!);
    expect(distance(last, array(wanted, { dtype }))).toBeLessThan(1e-12);
  });

  it.each([
    [{ d: true }, /a part with hidden dependence must be one of lambda, q, b, c; got d/],
    [{ b: 1 }, /hidden\.b must be one of true, false; got 1/],
  ])("refuses %j", (hidden, message) => {
    expect(() => LAYERS[name]({ hidden: hidden as never })).toThrow(message);
  });

  it('refuses Q both ways: hidden.q with argument "input"', () => {
    expect(() => LAYERS[name]({ hidden: { q: true }, argument: "input" })).toThrow(
      /hidden\.q is true, but argument "input" makes Q of x alone; leave out one of the two/,
    );
  });

  it.each(["lambda", "b", "c"] as const)("refuses parameters of a layer with another one, of %s", async (part) => {
    const given = contracting(LAYERS[name]({ hidden: { [part]: !defaults[part] } }));
    await expect(solved(LAYERS[name]({}), given)).rejects.toThrow(new RegExp(`${name}.*params\\.\\w+`));
  });
});

interface WeightNorm {
  readonly v: HostTensor;
  readonly g: HostTensor;
}

type ShapedParams = Readonly<Record<string, { readonly weight: HostTensor }>> & {
  readonly bc_y_proj?: WeightNorm;
  readonly dt_y_proj?: WeightNorm;
};

const rows = (x: HostTensor, from: number, to: number): HostTensor =>
  array((x.toNested() as number[][]).slice(from, to), { dtype });

/**
 * Of parameters of a layer whose part is hidden-dependent: those of one whose part is not, all else being equal, and the same
 * for the layer itself, with weights 0 on y_{t-1}.
 */
function switchedOff(
  params: ShapedParams,
  name: LayerName,
  part: "lambda" | "b" | "c",
): { readonly params: unknown; readonly silenced: unknown } {
  if (name === "fpRnn") {
    const map = params[`${part}_proj`]!;
    const half = map.weight.shape[1]! / 2;
    const nested = map.weight.toNested() as number[][];
    const changed = (weights: number[][]) => ({
      ...params,
      [`${part}_proj`]: { ...map, weight: array(weights, { dtype }) },
    });
    return {
      params: changed(nested.map((row) => row.slice(0, half))),
      silenced: changed(nested.map((row) => row.map((value, i) => (i < half ? value : 0)))),
    };
  }
  if (part === "lambda") {
    const { dt_y_proj: map, ...rest } = params;
    return { params: rest, silenced: { ...params, dt_y_proj: { ...map, g: zerosFrom(map!.g, 0, map!.g.shape[0]!) } } };
  }
  const { v, g } = params.bc_y_proj!;
  const n = g.shape[0]! / 2;
  const [kept, cut] = part === "b" ? [n, 0] : [0, n];
  return {
    params: { ...params, bc_y_proj: { v: rows(v, kept, kept + n), g: rows(g, kept, kept + n) } },
    silenced: { ...params, bc_y_proj: { v, g: zerosFrom(g, cut, cut + n) } },
  };
}

function zerosFrom(g: HostTensor, from: number, to: number): HostTensor {
  return array(
    (g.toNested() as number[][]).map((row, i) => (i >= from && i < to ? row.map(() => 0) : row)),
    { dtype },
  );
}
