/** Fixtures of kind "primitive": one building block, its output and its gradients. */
import { linearRecurrence, nn, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { selectiveScan } from "../../src/index.ts";
import {
  compare,
  compareAll,
  type Comparison,
  type Fixture,
  type FixtureTensor,
  hostTensors,
  type Setting,
  type Tensors,
} from "./fixture.ts";

type Inputs = Readonly<Record<string, Tracer>>;

interface PrimitiveFixture {
  readonly note: string;
  readonly inputs: Tensors;
  readonly output: FixtureTensor;
  readonly cotangent: FixtureTensor;
  readonly loss: number;
  readonly grads: Tensors;
}

/** Building blocks by the names of their inputs, which tell them apart whatever the file is called. */
const BLOCKS: readonly {
  readonly inputs: readonly string[];
  readonly fits?: (inputs: Tensors) => boolean;
  readonly run: (x: Inputs, eps: number) => Tracer;
}[] = [
  { inputs: ["lam", "x"], run: ({ lam, x }) => linearRecurrence(lam!, x!) },
  { inputs: ["y"], run: ({ y }) => y!.shift(1) },
  { inputs: ["x"], run: ({ x }, eps) => nn.l2Normalize(x!, { eps }) },
  { inputs: ["w", "x"], run: ({ x, w }, eps) => nn.rmsNorm(x!, { weight: w!, eps }) },
  {
    inputs: ["b", "w", "x"],
    fits: ({ w }) => w!.shape.length === 3,
    run: ({ x, w, b }) => nn.silu(nn.causalConv.apply({ weight: w!, bias: b! }, x!)),
  },
  { inputs: ["b", "w", "x"], run: ({ x, w, b }, eps) => nn.layerNorm(x!, { weight: w!, bias: b!, eps }) },
  { inputs: ["b", "g", "v", "x"], run: ({ x, v, g, b }) => nn.weightNormLinear.apply({ v: v!, g: g!, bias: b! }, x!) },
  {
    inputs: ["A_log", "B", "C", "D", "delta", "delta_bias", "u", "z"],
    run: ({ u, delta, A_log, B, C, D, z, delta_bias }) =>
      selectiveScan({ u: u!, delta: delta!, aLog: A_log!, b: B!, c: C!, d: D!, z: z!, deltaBias: delta_bias! }),
  },
];

export function primitiveIsBuilt(fixture: Fixture): boolean {
  return blockOf(fixture as unknown as PrimitiveFixture) !== undefined;
}

function blockOf({ inputs }: PrimitiveFixture): (typeof BLOCKS)[number] | undefined {
  const names = Object.keys(inputs).sort().join();
  return BLOCKS.find((block) => block.inputs.join() === names && (block.fits?.(inputs) ?? true));
}

export async function checkPrimitive({ device, dtype }: Setting, raw: Fixture): Promise<Comparison[]> {
  const fixture = raw as unknown as PrimitiveFixture;
  const block = blockOf(fixture)!;
  const eps = Number(/eps ?=? ?([\d.]+(?:e-?\d+)?)/.exec(fixture.note)?.[1] ?? "1e-5");
  const run = valueAndGrad((inputs: Inputs, cotangent: Tracer) => {
    const output = block.run(inputs, eps);
    return { loss: output.mul(cotangent).sum(), output };
  });
  const { cotangent } = hostTensors({ cotangent: fixture.cotangent }, dtype);
  const { value, grad } = await device.get(await device.run(run, hostTensors(fixture.inputs, dtype), cotangent!));
  return [
    compare("output", value.output, fixture.output),
    compare("loss", value.loss, fixture.loss),
    ...compareAll("gradient", treeLeaves(grad), fixture.grads),
  ];
}
