/** The word problem of a finite group: read elements one by one, say their product so far. Parity is that of Z2. */
import { array, ArgumentError, type HostTensor, random } from "@banach/autograd";
import { GROUP_NAMES, type Group, parseGroup } from "../groups/index.ts";
import type { Batch, BatchSize, ResumedBatch, Task, TaskDefinition, TaskPosition } from "./task.ts";
import { resolveOptions } from "./task-options.ts";

/** Tokens that stand for no element. They follow the elements in the vocabulary, in this order; only BOS is in batches. */
export const SPECIAL_TOKENS = ["BOS", "EOS", "PAD", "SEP", "CLS", "MASK", "UNK"] as const;

/** The vocabulary is a multiple of it. */
const VOCABULARY_MULTIPLE = 8;

/** Which positions count: the elements, or BOS too. */
export type Score = "group" | "all";

export interface WordProblemOptions {
  readonly group: Group;
  /**
   * `group`, the default, leaves out BOS, which every model gets right at once and which would make accuracies look
   * better, most of all at short lengths. `all` counts it, as published results do.
   */
  readonly score?: Score;
}

/**
 * Inputs BOS g_1 .. g_k of independent uniform elements; targets BOS p_1 .. p_k at the same positions, p_t = p_{t-1} g_t
 * from p_0 = identity. A batch has one length k >= 1 and is [batch, k + 1]: there is no padding. (The bias of an element
 * against uniform is below order / 2^32.) Words can go on: what is remembered is their product, and as they need no BOS,
 * a further piece is k + 1 elements.
 */
export function wordProblem({ group, score = "group" }: WordProblemOptions): Task {
  const bos = group.order + SPECIAL_TOKENS.indexOf("BOS");
  const tokens = group.order + SPECIAL_TOKENS.length;
  /** `products[row]` is that of a word that goes on, or -1 for a new word; it is moved on. */
  const draw = (key: HostTensor, { batch, length }: BatchSize, products: Int32Array): Batch => {
    requirePositive("batch", batch);
    requirePositive("length", length);
    const time = length + 1;
    const shape = [batch, time];
    const inputs = new Int32Array(batch * time).fill(bos);
    const targets = new Int32Array(batch * time).fill(bos);
    const mask = new Uint8Array(batch * time).fill(1);
    const columns = products.some((product) => product >= 0) ? time : length;
    const bits = random.bits(key, [batch, columns]).data;
    for (let row = 0; row < batch; row++) {
      let product = products[row] ?? -1;
      const first = product < 0 ? 1 : 0;
      if (first === 1 && score === "group") mask[row * time] = 0;
      product = Math.max(product, 0);
      for (let t = first; t < time; t++) {
        const element = Math.floor(((bits[row * columns + t - first] ?? 0) / 2 ** 32) * group.order);
        product = group.compose(product, element);
        inputs[row * time + t] = element;
        targets[row * time + t] = product;
      }
      products[row] = product;
    }
    return {
      inputs: array(inputs, { shape }),
      targets: array(targets, { shape }),
      mask: array(mask, { dtype: "bool", shape }),
    };
  };
  return Object.freeze({
    name: `word-problem ${group.name}`,
    description: `say at each position the product of the elements of ${group.name} read so far`,
    vocabulary: Math.ceil(tokens / VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE,
    sample: (key: HostTensor, size: BatchSize): Batch => draw(key, size, newWords(size.batch)),
    resume: (key: HostTensor, size: BatchSize, { memory, restart }: TaskPosition): ResumedBatch => {
      requireRows(size, { memory, restart });
      const products = newWords(size.batch).map((begin, row) =>
        restart.data[row] ? begin : (memory.data[row] ?? begin),
      );
      const batch = draw(key, size, products);
      return { ...batch, memory: array(products, { shape: [size.batch] }) };
    },
  });
}

/** The identity has index 0 in every group. */
const newWords = (batch: number): Int32Array =>
  new Int32Array(Number.isSafeInteger(batch) && batch > 0 ? batch : 0).fill(-1);

function requireRows({ batch }: BatchSize, position: TaskPosition): void {
  for (const [name, { shape }] of Object.entries(position) as [string, HostTensor][]) {
    if (shape.length === 1 && shape[0] === batch) continue;
    throw new ArgumentError(`word-problem: ${name} must be [${batch}], one per sequence, got [${shape.join(", ")}]`);
  }
}

function requirePositive(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(`word-problem: ${name} must be a positive integer, got ${value}`);
  }
}

/** The task as the command knows it. */
export const wordProblemDefinition: TaskDefinition = {
  name: "word-problem",
  options: [
    { name: "group", description: `group of the word problem: ${GROUP_NAMES.join(", ")}`, default: "Z2" },
    { name: "score", description: "positions that count", default: "group", choices: ["group", "all"] },
  ],
  create(options: Readonly<Record<string, string>>): Task {
    const { group = "", score } = resolveOptions(wordProblemDefinition, options);
    return wordProblem({ group: parseGroup(group), score: score === "all" ? "all" : "group" });
  },
};
