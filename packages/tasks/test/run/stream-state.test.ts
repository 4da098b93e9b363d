import { array, type HostTensor, key, type Tracer, treeLeaves, treeMap } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { fpMamba, fpRnn, householder, languageModel, mamba, sequential, throughTime } from "@banach/fprnn";
import { expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/run/index.ts";

const device = await reference();
const solving = { mixer: householder(), solver: sequential({ tol: 1e-4 }), adjoint: throughTime(), shortConv: true };
const shape = { vocabulary: 5, dModel: 4 };
const MODELS = {
  "fp-rnn": languageModel({ ...shape, layers: [fpRnn({ dModel: 4, expand: 1, ...solving })] }),
  "fp-mamba": languageModel({ ...shape, layers: [fpMamba({ dModel: 4, dState: 2, ...solving })] }),
  mamba: languageModel({ ...shape, layers: [mamba({ dModel: 4, dState: 2 }), mamba({ dModel: 4, dState: 3 })] }),
};

test.each(Object.keys(MODELS) as (keyof typeof MODELS)[])(
  "what %s leaves of a sequence goes through a file, and the next token is read as if it had not",
  async (name) => {
    const model = MODELS[name] as (typeof MODELS)["fp-rnn"];
    type Params = Parameters<typeof model.step>[0];
    type State = Parameters<typeof model.step>[2];
    const params = model.init(key(0));
    const start = (p: Params, ids: Tracer) => model.apply(p, ids).state;
    const next = (p: Params, token: Tracer, state: State) => model.step(p, token, state).logits;
    const ids = array([[1, 2, 3, 4, 0, 1]], { dtype: "int32" });
    const token = array([3], { dtype: "int32" });
    const before = await device.get(await device.run(start, params, ids));

    const tensors = new Map(treeLeaves<HostTensor>(before).map(({ path, leaf }) => [path, leaf]));
    const read = readSafetensors(writeSafetensors({ tensors, metadata: new Map() })).tensors;
    // The tree is that of the initial state.
    const after = treeMap((_leaf: HostTensor, path) => read.get(path)!, model.initialState(1));

    const [kept, saved] = [await device.run(next, params, token, before), await device.run(next, params, token, after)];
    expect((await device.get(saved)).data).toEqual((await device.get(kept)).data);
    expect((await device.get(kept)).data.every(Number.isFinite)).toBe(true);
  },
);
