/** A backend that notes how long its runs take to be encoded, and of which graphs they are. */
import type { Backend, Executable, Graph } from "@banach/autograd/backend";

/** A run up to the point where the host is free again. */
export interface EncodedRun {
  readonly graph: Graph;
  readonly label: string;
  /** Milliseconds until `run` returned its promise, the submission itself left out; null if it had to wait meanwhile. */
  readonly encode: number | null;
  /** Milliseconds in the submission. */
  readonly submit: number;
  /** Dispatches encoded by then. */
  readonly dispatches: number;
  /** Iterations of outermost whiles. */
  readonly loopSteps: readonly number[];
}

/** What the backend's executables tell about their last run. */
interface Measured {
  readonly sent?: { readonly dispatches: number } | null;
}

export interface Recorded {
  readonly backend: Backend;
  /** In order of their ends; emptied by whoever has read them. */
  readonly runs: EncodedRun[];
}

export function recorded(backend: Backend): Recorded {
  const runs: EncodedRun[] = [];
  const compile: Backend["compile"] = async (graph, options) => {
    const program: Executable & Measured = await backend.compile(graph, options);
    const run: Executable["run"] = async (inputs) => {
      const before = program.sent;
      let submit = 0;
      const { prototype } = GPUQueue;
      // Called on the queue that it is called on here.
      // eslint-disable-next-line @typescript-eslint/unbound-method
      const original = prototype.submit;
      prototype.submit = function (commands) {
        const startedAt = performance.now();
        original.call(this, commands);
        submit += performance.now() - startedAt;
        return undefined;
      };
      const startedAt = performance.now();
      const pending = program.run(inputs);
      const took = performance.now() - startedAt;
      prototype.submit = original;
      const { sent } = program;
      const isOnItsWay = sent !== before && sent !== null && sent !== undefined;
      const report = await pending;
      runs.push({
        graph,
        label: options?.label ?? "",
        encode: isOnItsWay ? took - submit : null,
        submit,
        dispatches: sent?.dispatches ?? 0,
        loopSteps: report.loopSteps,
      });
      return report;
    };
    const { inputs, outputs, donated, temporaryBytes } = program;
    return { inputs, outputs, donated, temporaryBytes, run, [Symbol.dispose]: () => program[Symbol.dispose]() };
  };
  return { backend: { ...backend, compile }, runs };
}
