// A Vitest set-up file for tests that compute on WebGPU in Node: where there is no adapter they fail, and say what to do.
import { inject } from "vitest";

const problem = inject("webgpuProblem");
if (problem !== undefined) throw new Error(problem);
