/** The pieces of work that are measured, and their inputs: the same numbers for every framework. */

interface Sequences {
  readonly batch: number;
  readonly time: number;
  readonly channels: number;
}

interface Scan extends Sequences {
  readonly state: number;
}

interface Mlp {
  readonly batch: number;
  /** Of the layers, from the inputs to the classes. */
  readonly sizes: readonly number[];
}

interface A5 {
  readonly batch: number;
  /** Elements in a word. */
  readonly length: number;
  readonly dModel: number;
  /** Of the training before the step that is measured: its batch, and how many steps it may take. */
  readonly before: { readonly batch: number; readonly steps: number };
}

/** How the model of the A5 step is used, for how many words of how many tokens, the beginning of the word included. */
interface FpMamba {
  /** Logits of whole words; a train step; or words token by token, each with its state from the one before. */
  readonly use: "forward" | "train" | "stream";
  readonly solver: SolverName;
  readonly batch: number;
  readonly time: number;
  /** Of `sequential`; default 0.03. */
  readonly tol?: number;
  /** The A5 step that the parameters are those of. */
  readonly parameters: Omit<A5, "batch">;
}

/** "authors" is Picard's iteration as the authors of the model train, differentiated by one step. */
export type SolverName = "picard" | "anderson" | "newton" | "chunked" | "sequential" | "auto" | "authors";

export type Work =
  /** A [size,size] times B [size,size], or A^T B ("left"), or A B^T ("right"). */
  | { readonly kind: "gemm"; readonly size: number; readonly transposed: "none" | "left" | "right" }
  /** [batch,size,size] times [batch,size,size]. */
  | { readonly kind: "batched-gemm"; readonly batch: number; readonly size: number }
  /** silu(x) * y + z. */
  | { readonly kind: "silu"; readonly size: number }
  | { readonly kind: "layer-norm"; readonly rows: number; readonly features: number }
  /** h_t = a_t h_{t-1} + b_t along axis 1 of [batch,time,channels]. */
  | ({ readonly kind: "recurrence" } & Sequences)
  /** The same, and the gradients of a and b for a given cotangent. */
  | ({ readonly kind: "recurrence-gradient" } & Sequences)
  /** Mamba's selective scan, without the gate. */
  | ({ readonly kind: "selective-scan" } & Scan)
  /** The same with decay + drive in the place of the recurrence. */
  | ({ readonly kind: "plain-sum" } & Scan)
  /** A train step: linear, ReLU, linear, ReLU, linear, cross entropy, SGD. */
  | ({ readonly kind: "mlp" } & Mlp)
  /** The products of matrices of that step alone. */
  | ({ readonly kind: "mlp-gemms" } & Mlp)
  /** Forward, gradient and AdamW of one FP-RNN layer, Householder rank 2, sequential and through time. */
  | { readonly kind: "fp-rnn"; readonly batch: number; readonly time: number; readonly dModel: number }
  /** The train step of `banach start`, for words of one length. */
  | ({ readonly kind: "a5" } & A5)
  /** The same model by another solver, for other lengths, or put to another use. */
  | ({ readonly kind: "fp-mamba" } & FpMamba)
  /** 2 x + 1 on [8,8]: nothing but the call. */
  | { readonly kind: "tiny" }
  /** 0.9 x + 0.1 on [8,8], `steps` times, in a loop with a predicate. */
  | { readonly kind: "while"; readonly steps: number };

export type Kind = Work["kind"];
export type WorkOf<K extends Kind> = K extends Kind ? Extract<Work, { readonly kind: K }> : never;

export interface Input {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Multiplications and additions of matrix products. */
export function flopsOf(work: WorkOf<"gemm" | "batched-gemm">): number {
  return 2 * (work.kind === "gemm" ? 1 : work.batch) * work.size ** 3;
}

/** Bytes that have to be read and written at the least, by the tensors of full size. */
export function bytesOf(work: WorkOf<"silu" | "layer-norm" | "recurrence" | "recurrence-gradient">): number {
  switch (work.kind) {
    case "silu":
      return 4 * 4 * work.size;
    case "layer-norm":
      return 2 * 4 * work.rows * work.features;
    case "recurrence":
    case "recurrence-gradient":
      return 3 * 4 * work.batch * work.time * work.channels;
  }
}

export function inputsOf(work: Work): readonly Input[] {
  const draw = generator();
  switch (work.kind) {
    case "gemm":
      return [draw([work.size, work.size]), draw([work.size, work.size])];
    case "batched-gemm":
      return [draw([work.batch, work.size, work.size]), draw([work.batch, work.size, work.size])];
    case "silu":
      return [draw([work.size], -4, 4), draw([work.size]), draw([work.size])];
    case "layer-norm":
      return [draw([work.rows, work.features], -3, 5), draw([work.features], 0.5, 1.5), draw([work.features])];
    case "recurrence":
    case "recurrence-gradient": {
      const shape = [work.batch, work.time, work.channels];
      const cotangent = work.kind === "recurrence" ? [] : [draw(shape)];
      return [draw(shape, 0.5, 0.99), draw(shape), ...cotangent];
    }
    case "selective-scan":
    case "plain-sum": {
      const { batch, time, channels, state } = work;
      const [u, delta] = [draw([batch, time, channels]), draw([batch, time, channels], -4, -1)];
      const [b, c] = [draw([batch, time, state]), draw([batch, time, state])];
      // u, delta, aLog, b, c, d, deltaBias
      return [u, delta, draw([channels, state], 0, 2), b, c, draw([channels]), draw([channels], -0.1, 0.1)];
    }
    case "mlp": {
      const { batch, sizes } = work;
      const classes = sizes.at(-1) ?? 1;
      const targets = new Float32Array(batch * classes);
      for (let i = 0; i < batch; i++) targets[i * classes + ((i * 7) % classes)] = 1;
      const layers = sizes.slice(1).flatMap((size, i) => {
        const scale = 1 / Math.sqrt(sizes[i] ?? 1);
        return [draw([sizes[i] ?? 1, size], -scale, scale), draw([size], -scale, scale)];
      });
      return [draw([batch, sizes[0] ?? 1]), { shape: [batch, classes], data: targets }, ...layers];
    }
    case "mlp-gemms": {
      const { batch, sizes } = work;
      // For each layer its input, its weight and the gradient of its output.
      return sizes
        .slice(1)
        .flatMap((size, i) => [draw([batch, sizes[i] ?? 1]), draw([sizes[i] ?? 1, size]), draw([batch, size])]);
    }
    case "fp-rnn":
      return [draw([work.batch, work.time, work.dModel])];
    case "a5":
    case "fp-mamba":
      // Words of the task, which only its own program reads.
      return [];
    case "tiny":
    case "while":
      return [draw([8, 8])];
  }
}

/** Draws tensors from one stream of uniform numbers (Numerical Recipes' generator of 32 bits). */
function generator(): (shape: readonly number[], low?: number, high?: number) => Input {
  let bits = 12345;
  return (shape, low = -1, high = 1) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) {
      bits = (Math.imul(bits, 1664525) + 1013904223) >>> 0;
      data[i] = low + ((high - low) * bits) / 2 ** 32;
    }
    return { shape, data };
  };
}
