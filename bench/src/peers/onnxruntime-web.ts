/** onnxruntime-web on WASM, one thread: inference only, and no model here has a loop. */
import { env, InferenceSession, Tensor } from "onnxruntime-web";
import type { Framework } from "../framework.ts";
import { inputsOf, type Work } from "../work.ts";
import { type OnnxNode, onnxModel } from "./onnx-model.ts";

/** Nodes from the inputs a, b, c to the output y. */
function nodesOf(work: Work): readonly OnnxNode[] | undefined {
  const node = (op: string, inputs: readonly string[], output: string): OnnxNode => ({ op, inputs, outputs: [output] });
  switch (work.kind) {
    case "gemm": {
      const [left, right] = [work.transposed === "left", work.transposed === "right"];
      return [
        ...(left ? [node("Transpose", ["a"], "at")] : []),
        ...(right ? [node("Transpose", ["b"], "bt")] : []),
        node("MatMul", [left ? "at" : "a", right ? "bt" : "b"], "y"),
      ];
    }
    case "batched-gemm":
      return [node("MatMul", ["a", "b"], "y")];
    case "silu":
      return [
        node("Sigmoid", ["a"], "gate"),
        node("Mul", ["a", "gate"], "silu"),
        node("Mul", ["silu", "b"], "product"),
        node("Add", ["product", "c"], "y"),
      ];
    case "layer-norm":
      return [node("LayerNormalization", ["a", "b", "c"], "y")];
    case "tiny":
      // 2 x + 1 without constants: as many nodes.
      return [node("Add", ["a", "a"], "twice"), node("Add", ["twice", "a"], "y")];
    case "recurrence":
    case "recurrence-gradient":
    case "selective-scan":
    case "plain-sum":
    case "mlp":
    case "mlp-gemms":
    case "fp-rnn":
    case "a5":
    case "fp-mamba":
    case "while":
      return undefined;
  }
}

export function onnxruntimeWeb(version: string): Framework {
  env.wasm.numThreads = 1;
  env.logLevel = "error";
  return {
    name: "onnxruntime-web",
    version,
    prepare: async (work) => {
      const nodes = nodesOf(work);
      if (nodes === undefined) return undefined;
      const inputs = inputsOf(work).map(({ shape, data }, i) => ({ name: "abc".charAt(i), shape, data }));
      const [first] = inputs;
      const model = onnxModel({ nodes, inputs, outputs: [{ name: "y", shape: first?.shape ?? [] }] });
      const session = await withoutItsWorker(() => InferenceSession.create(model, { executionProviders: ["wasm"] }));
      const feeds = Object.fromEntries(
        inputs.map(({ name, shape, data }) => [name, new Tensor("float32", data, shape)]),
      );
      const run = async (): Promise<ArrayLike<number>> => {
        const { y } = await session.run(feeds);
        return (y?.data ?? []) as ArrayLike<number>;
      };
      return {
        run,
        // Another sum: 3 x in the place of 2 x + 1.
        ...(work.kind === "tiny" ? {} : { result: run }),
        dispose: () => void session.release(),
      };
    },
  };
}

/** It leaves Node's Worker behind as a global, from which jax-js concludes that it is in a browser with threads. */
async function withoutItsWorker<T>(start: () => Promise<T>): Promise<T> {
  const scope = globalThis as { Worker?: unknown };
  const before = scope.Worker;
  const result = await start();
  if (before === undefined) delete scope.Worker;
  return result;
}
