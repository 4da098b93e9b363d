/** Runs a graph on a backend and gives back everything it took. */
import type { Graph } from "../../ir/graph.ts";
import type { HostArray } from "../../ir/tensor-type.ts";
import type { Backend, Buffer } from "../../runtime/backend.ts";
import { ConformanceError } from "./compare.ts";

export interface HostRun {
  readonly outputs: readonly HostArray[];
  readonly loopSteps: readonly number[];
}

/** Writes the inputs, compiles, runs as often as asked, reads, and disposes. */
export async function runOn(
  backend: Backend,
  graph: Graph,
  inputs: readonly HostArray[],
  times = 1,
): Promise<readonly HostRun[]> {
  const executable = await backend.compile(graph);
  const held: Buffer[] = [];
  try {
    graph.inputs.forEach((v, i) => {
      const data = inputs[i];
      if (data === undefined) throw new ConformanceError(`input ${i} is missing`);
      held.push(backend.write(data, v.type));
    });
    const buffers = [...held];
    const runs: HostRun[] = [];
    for (let n = 0; n < times; n++) {
      const { outputs, loopSteps } = await executable.run(buffers);
      held.push(...outputs);
      runs.push({ outputs: await Promise.all(outputs.map((buffer) => backend.read(buffer))), loopSteps });
    }
    return runs;
  } finally {
    for (const buffer of held) buffer[Symbol.dispose]();
    executable[Symbol.dispose]();
  }
}

/** Throws ConformanceError unless the condition holds. */
export function check(holds: boolean, message: string): void {
  if (!holds) throw new ConformanceError(message);
}

/** Throws ConformanceError unless the work fails with an error of the kind. */
export async function checkRejects(
  kind: abstract new (...args: never[]) => Error,
  work: () => unknown,
  what: string,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof kind) return;
    throw new ConformanceError(`${what} should be refused with ${kind.name}, got ${String(error)}`, { cause: error });
  }
  throw new ConformanceError(`${what} should be refused with ${kind.name}, and was accepted`);
}

const bytesOf = (data: HostArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Whether two runs gave the same bits. */
export function sameBits(a: readonly HostArray[], b: readonly HostArray[]): boolean {
  return (
    a.length === b.length &&
    a.every((x, k) => {
      const [p, q] = [bytesOf(x), bytesOf(b[k] ?? new Uint8Array(0))];
      return p.length === q.length && p.every((byte, i) => byte === q[i]);
    })
  );
}
