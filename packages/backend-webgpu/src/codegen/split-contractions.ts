/**
 * Contractions with few results and long sums, as the gradients of weights are, in two kernels: with so few tiles a GPU
 * would be idle, so the sum is divided, and a second kernel adds up its parts, in one order.
 */
import {
  type Access,
  type ContractKernel,
  type DType,
  isKernel,
  type Program,
  type ProgramBuffer,
  type ReduceKernel,
  sizeOf,
  type Step,
  wholeOf,
} from "@banach/autograd/backend";
import { isTiled } from "./contract.ts";
import { planContract } from "./contract-plan.ts";
import { isRegion } from "./region.ts";

/** Results of a tile along each axis, and tiles that fill a device. */
const TILE = 64;
const MANY_TILES = 64;

/** Terms that a part has at least: fewer do not pay for passing it on. */
const TERMS = 256;

export function splitContractions(program: Program): Program {
  const added: ProgramBuffer[] = [];
  const visit = (steps: readonly Step[]): readonly Step[] =>
    steps.flatMap((step): readonly Step[] => {
      if (step.kind === "while") return [{ ...step, test: visit(step.test), body: visit(step.body) }];
      if (step.kind === "for") return [isRegion(step) ? step : { ...step, body: visit(step.body) }];
      const parts = isKernel(step) && step.kind === "contract" ? partsOf(step) : 1;
      if (parts === 1 || step.kind !== "contract") return [step];
      const dtype = partType(step);
      const buffer = { name: `parts${added.length}`, dtype, size: parts * sizeOf(step.shape) };
      added.push(buffer);
      return split(step, parts, buffer);
    });
  const steps = visit(program.steps);
  return added.length === 0 ? program : { ...program, steps, temporaries: [...program.temporaries, ...added] };
}

/** A divisor of the first contracted axis. */
function partsOf(kernel: ContractKernel): number {
  const plan = planContract(kernel);
  const { batch, m, n, k } = plan.size;
  const tiles = batch * Math.ceil(m / TILE) * Math.ceil(n / TILE);
  const most = Math.min(MANY_TILES / tiles, k / TERMS);
  if (!isTiled(plan) || most < 2) return 1;
  const first = kernel.k[0] ?? 1;
  for (let parts = Math.floor(most); parts > 1; parts--) if (first % parts === 0) return parts;
  return 1;
}

/** Parts of a sum keep what rounding to half would lose. */
function partType({ left }: ContractKernel): DType {
  return left.dtype === "float16" ? "float32" : left.dtype;
}

function split(kernel: ContractKernel, parts: number, buffer: ProgramBuffer): readonly [ContractKernel, ReduceKernel] {
  const { shape, axes, left, right, stores } = kernel;
  const [first = 1, ...others] = kernel.k;
  const size = first / parts;
  /** The parts are an axis of the batch. */
  const moved = (access: Access): Access => ({
    ...access,
    strides: [(access.strides[shape.length] ?? 0) * size, ...access.strides],
  });
  const { dtype } = buffer;
  const divided: ContractKernel = {
    kind: "contract",
    axes: { ...axes, batch: axes.batch + 1 },
    shape: [parts, ...shape],
    k: [size, ...others],
    left: { ...left, access: moved(left.access) },
    right: { ...right, access: moved(right.access) },
    stores: [{ buffer, access: wholeOf([parts, ...shape]), value: { kind: "accumulated", dtype } }],
  };
  const { strides } = wholeOf(shape);
  const value = {
    kind: "read",
    dtype,
    buffer,
    access: { offset: 0, strides: [...strides, sizeOf(shape)], loops: [] },
  } as const;
  return [divided, { kind: "reduce", shape, reduced: [parts], combine: "sum", value, stores }];
}
