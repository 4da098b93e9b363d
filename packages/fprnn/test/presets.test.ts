import { ArgumentError, key, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { authors, fpMamba, fpMamba2, fpRnn, householder } from "../src/index.ts";

const device = await reference();
const x = random.normal(key(1), [4, 6, 4]);
const mixer = householder({ gain: 2 });

describe("the authors' settings", () => {
  it.each([
    ["fp-rnn", fpRnn({ dModel: 4, mixer, eps: 1e-6, ...authors({ layer: "fp-rnn" }) })],
    ["fp-mamba", fpMamba({ dModel: 4, mixer, eps: 1e-6, ...authors({ layer: "fp-mamba" }) })],
    ["fp-mamba-2", fpMamba2({ dModel: 4, mixer, eps: 1e-6, ...authors({ layer: "fp-mamba-2" }) })],
  ] as const)("solve a layer: %s", async (_, layer) => {
    const run = (p: never, input: Tracer) => layer.apply(p, input).stats;
    const { iterations } = await device.get(await device.run(run, layer.init(key(0)) as never, x));
    // All rows iterate until the batch may stop.
    expect(new Set(iterations.data).size).toBe(1);
  });

  it("are stricter in evaluation", () => {
    const [training, evaluation] = [
      authors({ layer: "fp-mamba" }),
      authors({ layer: "fp-mamba", phase: "evaluation" }),
    ];
    expect([training.solver.maxSteps, evaluation.solver.maxSteps]).toEqual([100, 1000]);
    expect([training.solver.tol, evaluation.solver.tol]).toEqual([0.1, 0.1]);
    expect(training.adjoint.name).toBe("truncated(1)");
  });

  it("are refused for what the authors do not have", () => {
    expect(() => authors({ layer: "mamba" as never })).toThrow(ArgumentError);
    expect(() => authors({ layer: "fp-rnn", phase: "test" as never })).toThrow(
      /phase must be one of training, evaluation/,
    );
  });
});
