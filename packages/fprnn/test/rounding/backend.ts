/** A backend on the interpreter: float inputs as float32 holds them, and every result as `change` leaves it. */
import { type Backend, isFloat, verify } from "@banach/autograd/backend";
import { referenceBackend } from "@banach/autograd/reference";
import { type Change, interpret } from "./interpret.ts";

export function interpretingBackend(name: string, change: Change): Backend {
  const base = referenceBackend();
  return {
    ...base,
    name,
    compile: (graph, { donate = [] } = {}) => {
      if (donate.length > 0) throw new RangeError("nothing is donated here");
      verify(graph);
      return Promise.resolve({
        inputs: graph.inputs.map(({ type }) => type),
        outputs: graph.outputs.map(({ type }) => type),
        donated: new Set<number>(),
        temporaryBytes: 0,
        run: async (buffers) => {
          const inputs = await Promise.all(buffers.map((buffer) => base.read(buffer)));
          const results = interpret(graph, inputs, change);
          return { outputs: results.map((data, i) => base.write(data, graph.outputs[i]!.type)), loopSteps: [] };
        },
        [Symbol.dispose]: () => undefined,
      });
    },
    write: (data, type) => base.write(isFloat(type.dtype) ? data.map(Math.fround) : data, type),
  };
}
