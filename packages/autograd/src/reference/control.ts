/** Kernels of the primitives that carry graphs. A loop runs its body's program on one arena; carries alternate between two places. */
import { type HostArray, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { arrayAt, kernel, type KernelRule } from "./kernel.ts";

export const stop_gradient: KernelRule<"stop_gradient"> = () => ({ kind: "alias" });

export const custom_vjp_call: KernelRule<"custom_vjp_call"> = ({ params }) => ({
  kind: "inline",
  graph: params.primal,
});

const bytes = (size: number): TensorType => ({ dtype: "bool", shape: [size] });

function copyAll(out: readonly HostArray[], from: readonly HostArray[]): void {
  out.forEach((array, i) => {
    array.set(arrayAt(from, i));
  });
}

/** Row t of a stacked array, as a view. */
function row(stacked: HostArray, t: number, size: number): HostArray {
  return stacked.subarray(t * size, (t + 1) * size);
}

export const scan: KernelRule<"scan"> = ({ params: { body, consts, carry, length, reverse } }, compile) => {
  const program = compile(body);
  const carried = body.inputs.slice(consts, consts + carry).map((v) => v.type);
  const firstX = consts + carry;
  const xSizes = body.inputs.slice(firstX).map((v) => sizeOf(v.type.shape));
  const ySizes = body.outputs.slice(carry).map((atom) => sizeOf(atom.type.shape));
  const results = carry + ySizes.length;
  return kernel(
    (outputs, inputs) => {
      const arena = outputs[results + carry] as Uint8Array;
      const reads = inputs.slice();
      const writes = outputs.slice(0, results);
      if (length === 0) copyAll(writes.slice(0, carry), inputs.slice(consts, firstX));
      for (let i = 0; i < length; i++) {
        const t = reverse ? length - 1 - i : i;
        // The last iteration writes the results, the one before it the scratch arrays, and so on backwards.
        const target = (length - i) % 2 === 1 ? 0 : results;
        for (let k = 0; k < carry; k++) writes[k] = arrayAt(outputs, target + k);
        xSizes.forEach((size, k) => (reads[firstX + k] = row(arrayAt(inputs, firstX + k), t, size)));
        ySizes.forEach((size, k) => (writes[carry + k] = row(arrayAt(outputs, carry + k), t, size)));
        program.run(arena, writes, reads);
        for (let k = 0; k < carry; k++) reads[consts + k] = arrayAt(writes, k);
      }
    },
    [...carried, bytes(program.arenaBytes)],
  );
};

export const while_: KernelRule<"while"> = ({ inputs, params, outputs: results }, compile) => {
  const { condConsts, bodyConsts, maxSteps } = params;
  const [cond, body] = [compile(params.cond), compile(params.body)];
  const firstCarry = condConsts + bodyConsts;
  const carried = inputs.slice(firstCarry).map((atom) => atom.type);
  const carry = carried.length;
  const flags: TensorType = { dtype: "bool", shape: results[carry]?.type.shape ?? [] };
  return kernel(
    (outputs, operands) => {
      const steps = arrayAt(outputs, carry);
      const predicate = arrayAt(outputs, 2 * carry + 1);
      const active = arrayAt(outputs, 2 * carry + 2);
      const arena = outputs[2 * carry + 3] as Uint8Array;
      const condReads = [...operands.slice(0, condConsts), ...operands.slice(firstCarry)];
      const bodyReads = operands.slice(condConsts);
      const final = outputs.slice(0, carry);
      let current = operands.slice(firstCarry);
      let next = final;
      let spare = outputs.slice(carry + 1, 2 * carry + 1);
      steps.fill(0);
      active.fill(1);
      for (let step = 0; step < maxSteps; step++) {
        cond.run(arena, [predicate], condReads);
        if (!countActive(active, predicate, steps)) break;
        body.run(arena, next, bodyReads);
        freezeFinished(active, next, current);
        [current, next, spare] = [next, spare, next];
        for (let k = 0; k < carry; k++) {
          condReads[condConsts + k] = arrayAt(current, k);
          bodyReads[bodyConsts + k] = arrayAt(current, k);
        }
      }
      if (current !== final) copyAll(final, current);
    },
    [...carried, flags, flags, bytes(Math.max(cond.arenaBytes, body.arenaBytes))],
  );
};

/** Drops the rows whose predicate is false, for good, and counts a step for the others; false if there are none. */
function countActive(active: HostArray, predicate: HostArray, steps: HostArray): boolean {
  let any = false;
  for (let r = 0; r < active.length; r++) {
    if (predicate[r] === 0) active[r] = 0;
    if (active[r] === 0) continue;
    steps[r] = (steps[r] as number) + 1;
    any = true;
  }
  return any;
}

/** Gives finished rows their old values back. */
function freezeFinished(active: HostArray, next: readonly HostArray[], current: readonly HostArray[]): void {
  for (let r = 0; r < active.length; r++) {
    if (active[r] !== 0) continue;
    for (let k = 0; k < next.length; k++) {
      const old = arrayAt(current, k);
      const size = old.length / active.length;
      arrayAt(next, k).set(row(old, r, size), r * size);
    }
  }
}
