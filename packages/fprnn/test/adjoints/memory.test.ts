import { makeGraph, optimize, type Tracer, valueAndGrad } from "@banach/autograd";
import { lower, planMemory } from "@banach/autograd/backend";
import { compileGraph } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  type Adjoint,
  fixedPoint,
  gmres,
  implicit,
  iteration,
  neumann,
  picard,
  sequential,
  throughTime,
  truncated,
  unrolled,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";

const theta = rnnData(1n, { recurrent: 0.5, local: 0.5 }, [4, 16, 8]);

/** Bytes of temporaries of the gradient: of the reference's program and of the plan of fused kernels. */
function bytes(adjoint: Adjoint, maxSteps: number): readonly number[] {
  const run = valueAndGrad((t: RnnTheta): Tracer => {
    const choice =
      adjoint.kind === "causal"
        ? { solver: sequential({ tol: 1e-6, maxSteps }), adjoint }
        : { solver: picard({ tol: 1e-6, maxSteps }), adjoint };
    return fixedPoint(rnn, t.x.zerosLike(), t, choice).y.sin().sum();
  });
  const graph = optimize(makeGraph(run, theta));
  const plan = planMemory(lower(graph), 16);
  return [compileGraph(graph).temporaryBytes, plan.bytes + plan.local.bytes];
}

describe("memory of the gradient", () => {
  it.each<[string, (steps: number) => Adjoint]>([
    ["truncated", () => truncated({ steps: 3 })],
    ["neumann", () => neumann({ terms: 3 })],
    ["implicit", () => implicit()],
    ["throughTime", () => throughTime()],
    ["throughTime, local implicit", () => throughTime({ local: "implicit" })],
  ])("of %s does not depend on the iterations of the solver", (_, adjoint) => {
    expect(bytes(adjoint(1), 64)).toEqual(bytes(adjoint(1), 4));
  });

  it.each<[string, (steps: number) => Adjoint]>([
    ["neumann on its terms", (terms) => neumann({ terms })],
    ["implicit on the steps of its iteration", (maxSteps) => implicit({ maxSteps })],
    [
      "implicit on the steps of GMRES",
      (maxSteps) => implicit({ solver: gmres({ restart: 4 }), maxSteps: maxSteps + 1 }),
    ],
    [
      "throughTime on the steps of its local iteration",
      (maxSteps) => throughTime({ local: "implicit", solver: iteration({ maxSteps }) }),
    ],
  ])("does not depend for %s", (_, adjoint) => {
    expect(bytes(adjoint(64), 10)).toEqual(bytes(adjoint(4), 10));
  });

  it("grows for truncated with its steps, which are recorded, and for unrolled, so that the test would notice", () => {
    for (const adjoint of [(steps: number) => truncated({ steps }), (steps: number) => unrolled({ steps })]) {
      const [few, many] = [bytes(adjoint(4), 10), bytes(adjoint(64), 10)];
      many.forEach((size, i) => expect(size).toBeGreaterThan(2 * few[i]!));
    }
  });
});
