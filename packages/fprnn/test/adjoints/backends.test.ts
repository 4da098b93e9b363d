import { array, type Device, type HostTensor, treeLeaves, treeMap } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  type Adjoint,
  type AdjointStats,
  fixedPoint,
  gmres,
  implicit,
  neumann,
  picard,
  sequential,
  throughTime,
  valueGradAndAdjoint,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";
import { type Gradients, loss, relative } from "./kit.ts";

const theta = rnnData(3n, { recurrent: 1.5, local: 0.7 }, [5, 7, 6]);
const single = treeMap<Gradients, HostTensor, HostTensor>(
  (leaf) => array(Float32Array.from(leaf.data), { shape: leaf.shape }),
  theta,
);

async function gradientOn(
  device: Device,
  adjoint: Adjoint,
  at: Gradients,
): Promise<{ readonly grad: Gradients; readonly adjoint: readonly AdjointStats<HostTensor>[] }> {
  const tolerances = { tol: 1e-5, maxSteps: 100 };
  const run = valueGradAndAdjoint((t: RnnTheta) => {
    const choice =
      adjoint.kind === "causal" ? { solver: sequential(tolerances), adjoint } : { solver: picard(tolerances), adjoint };
    return loss(fixedPoint(rnn, t.x.zerosLike(), t, choice).y);
  });
  return device.get(await device.run(run, at));
}

describe.each<[string, Adjoint]>([
  ["neumann", neumann({ terms: 9 })],
  ["implicit", implicit()],
  ["implicit by GMRES that restarts", implicit({ solver: gmres({ maxSteps: 60, restart: 8 }) })],
  ["throughTime, local implicit", throughTime({ local: "implicit" })],
])("%s in float32 on WASM", (_, adjoint) => {
  it.each([1, 2])("is the float64 reference's with %s threads, and tells that it converged", async (threads) => {
    await using oracle = await reference();
    await using device = await wasm({ threads });
    const expected = await gradientOn(oracle, adjoint, theta);
    const actual = await gradientOn(device, adjoint, single);
    expect(relative(actual.grad, expected.grad)).toBeLessThan(1e-4);
    for (const { path, leaf } of treeLeaves<HostTensor>(actual.adjoint as never)) {
      if (path.endsWith("status")) expect(Array.from(leaf.data)).toEqual([0, 0, 0, 0, 0]);
    }
  });
});
