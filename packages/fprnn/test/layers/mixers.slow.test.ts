/** The layers with every mixer: the same numbers on the reference and on WASM, and solved where the map contracts. */
import { type Device, type HostTensor, key, random, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  dense,
  dplr,
  fpMamba,
  fpMamba2,
  fpRnn,
  householder,
  kronecker,
  type Layer,
  type Mixer,
  mixture,
  monarch,
  orthogonal,
  picard,
  sequential,
  type SolverAndAdjoint,
  STATUSES,
  throughTime,
  truncated,
} from "../../src/index.ts";

/** Those for which the norm of I - Q is below 1, whatever the parameters. */
const CONTRACTING: Readonly<Record<string, Mixer>> = {
  householder: householder(),
  dplr: dplr(),
  "kronecker, certified": kronecker({ normalisation: "certified" }),
  monarch: monarch(),
  dense: dense(),
  orthogonal: orthogonal(),
  "mixture of these": mixture({ experts: [householder(), monarch({ factors: [4, 2] }), orthogonal()] }),
};

const MIXERS: Readonly<Record<string, Mixer>> = {
  ...CONTRACTING,
  "dplr, rank 2": dplr({ rank: 2 }),
  "kronecker, column": kronecker(),
  "kronecker, spectral": kronecker({ normalisation: "spectral" }),
  "orthogonal, gain 2": orthogonal({ gain: 2, reflections: 4 }),
  "mixture of mixtures": mixture({
    experts: [mixture({ experts: [dplr(), kronecker()] }), dense({ projectionRank: 2 })],
  }),
};

/** As many iterations on every backend. */
const CHOICES = {
  "through time": { solver: sequential({ tol: 0, maxSteps: 3 }), adjoint: throughTime() },
  truncated: { solver: picard({ tol: 0, maxSteps: 3 }), adjoint: truncated() },
} satisfies Readonly<Record<string, SolverAndAdjoint>>;

const LAYERS = {
  "fp-rnn": (mixer: Mixer, choice: SolverAndAdjoint): Layer => fpRnn({ dModel: 4, mixer, ...choice }),
  "fp-mamba": (mixer: Mixer, choice: SolverAndAdjoint): Layer =>
    fpMamba({ dModel: 4, dState: 3, mixer, argument: "symmetric", ...choice }),
  "fp-mamba-2": (mixer: Mixer, choice: SolverAndAdjoint): Layer =>
    fpMamba2({ dModel: 4, dState: 3, headDim: 4, chunk: 3, mixer, ...choice }),
};

/** Rows that are made unit vectors divide by what may be small, and gradients by it again. */
const TOLERANCE = 1e-3;

const places = { reference: await reference(), wasm: await wasm() };
const x = random.normal(key(2), [2, 5, 4]);

async function gradientsOn(device: Device, layer: Layer): Promise<readonly { path: string; leaf: HostTensor }[]> {
  const run = valueAndGrad((params: unknown, u: Tracer) => {
    const { y } = layer.apply(params, u);
    return { loss: y.sin().sum(), y };
  });
  const { value, grad } = await device.get(await device.run(run, layer.init(key(1)) as never, x));
  return treeLeaves<HostTensor>({ y: value.y, grad } as never);
}

const cases = Object.keys(MIXERS).flatMap((mixer) =>
  (["fp-rnn", "fp-mamba", "fp-mamba-2"] as const).flatMap((layer) =>
    (["through time", "truncated"] as const).map((choice) => [layer, mixer, choice] as const),
  ),
);

describe.each(cases)("%s with %s, %s", (layer, mixer, choice) => {
  it("is the same on WASM, and every parameter has a gradient", { timeout: 60_000 }, async () => {
    const subject = LAYERS[layer](MIXERS[mixer]!, CHOICES[choice]);
    const [expected, actual] = [await gradientsOn(places.reference, subject), await gradientsOn(places.wasm, subject)];
    for (const [i, { path, leaf }] of expected.entries()) {
      const size = Math.max(...leaf.data.map(Math.abs));
      expect(size, path).toBeGreaterThan(0);
      const apart = Math.max(...leaf.data.map((value, j) => Math.abs(value - actual[i]!.leaf.data[j]!)));
      expect(apart / size, path).toBeLessThan(TOLERANCE);
    }
  });
});

describe.each(Object.keys(CONTRACTING))("fp-rnn with %s", (name) => {
  it.each([picard({ tol: 1e-5, maxSteps: 1000 }), sequential({ tol: 1e-5, maxSteps: 1000 })])(
    "is solved by $name, since its map contracts",
    { timeout: 60_000 },
    async (solver) => {
      const layer = fpRnn({ dModel: 4, mixer: CONTRACTING[name]!, solver });
      const run = (params: Parameters<typeof layer.apply>[0], u: Tracer): Tracer => layer.apply(params, u).stats.status;
      for (const seed of [1, 2, 3]) {
        const status = await places.wasm.get(await places.wasm.run(run, layer.init(key(seed)) as never, x));
        expect(Array.from(status.data, (code) => STATUSES[code])).toEqual(["converged", "converged"]);
      }
    },
  );
});
