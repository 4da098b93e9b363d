/** Parameters alone as a safetensors file, for exchange with other programs. Training states are checkpoints instead. */
import { CheckpointError, type DType, flatten, formatType, HostTensor, unflatten } from "@banach/autograd";
import { printable, quoted } from "./printable.ts";
import { readSafetensors } from "./read-safetensors.ts";
import { writeSafetensors } from "./safetensors.ts";
import { EMBEDDING, namesOf, type Naming, pathOf, TIED_HEAD } from "./weight-names.ts";

export interface WriteWeightsOptions {
  /** Default `plain`. */
  readonly naming?: Naming;
}

/**
 * The bytes of a file with the parameters of a layer, a mixer or a language model, host tensors, under the authors' names.
 * With naming `mamba-ssm` it is a state dict that their PyTorch models load, the tied head included. Numbers are written as
 * they are. Throws CheckpointError for what is no host tensor.
 */
export function writeWeights(params: unknown, { naming = "plain" }: WriteWeightsOptions = {}): Uint8Array {
  const own = hostTensors(params);
  const names = namesOf([...own.keys()], naming);
  const tensors = new Map([...own].map(([path, tensor]) => [names.get(path) ?? path, tensor]));
  const embedding = own.get(EMBEDDING);
  if (naming === "mamba-ssm" && embedding !== undefined) tensors.set(TIED_HEAD, embedding);
  // Readers of other frameworks ask for the one whose layouts the file has.
  const metadata = new Map([
    ["format", "pt"],
    ["made_by", "banach"],
  ]);
  return writeSafetensors({ tensors, metadata });
}

export interface ReadWeightsOptions {
  /**
   * Rounds numbers that the model's element type does not have to the nearest one that it has. By default a file with such
   * numbers is refused, so that nothing is lost unasked. Numbers too large for the type are refused in any case.
   */
  readonly round?: boolean;
  /** Applied to the names in the file before all else, e.g. to cut off a prefix. */
  readonly rename?: (name: string) => string;
}

/**
 * The parameters in a file, a tree like `like`, whose shapes and element types they have to have; float16, bfloat16, float32
 * and float64 are read. Names are any of `Naming`, of weight-normalised maps also the old ones of PyTorch. A tied head may be
 * there if it is the embedding, bit for bit. Throws CheckpointError naming the rule of the format that is broken, or listing
 * all that does not fit the model.
 */
export function readWeights<P>(file: Uint8Array, like: P, options: ReadWeightsOptions = {}): P {
  const { tensors, metadata } = readSafetensors(file, { widenHalves: true });
  if (metadata.get("format") === "banach-checkpoint") {
    throw new CheckpointError(
      "weights: this is the checkpoint of a run; banach export writes its parameters to a file",
    );
  }
  const expected = hostTensors(like);
  const { found, problems } = byPath(tensors, expected, options.rename);
  const { values, misfits } = convertAll(expected, found, options.round ?? false);
  requireNone([...problems, ...misfits], expected);
  const { leaves, def } = flatten(like);
  // The type of the result: the structure is that of `like`, and leaves have its types.
  return unflatten(
    def,
    leaves.map(({ path }) => values.get(path)),
  ) as P;
}

/** A tensor of a file, with its name there. */
interface Found {
  readonly name: string;
  readonly tensor: HostTensor;
}

/** What does not fit: under a heading, a line for each. */
interface Problem {
  readonly kind: string;
  readonly detail: string;
}

function hostTensors(params: unknown): ReadonlyMap<string, HostTensor> {
  return new Map(
    flatten(params).leaves.map(({ path, leaf }) => {
      if (!(leaf instanceof HostTensor)) throw new CheckpointError(`weights: '${path}' is not on the host`);
      return [path, leaf];
    }),
  );
}

/** The tensors that the model has, by their paths. */
function byPath(
  tensors: ReadonlyMap<string, HostTensor>,
  expected: ReadonlyMap<string, HostTensor>,
  rename: (name: string) => string = (name) => name,
): { readonly found: ReadonlyMap<string, Found>; readonly problems: readonly Problem[] } {
  const found = new Map<string, Found>();
  const heads: Found[] = [];
  const problems: Problem[] = [];
  for (const [name, tensor] of tensors) {
    const path = pathOf(rename(name));
    const before = found.get(path);
    if (path === TIED_HEAD && expected.has(EMBEDDING)) heads.push({ name, tensor });
    else if (!expected.has(path)) problems.push({ kind: "not in the model", detail: describe(name, tensor) });
    else if (before !== undefined)
      problems.push({ kind: "in the file twice", detail: `${quoted(before.name)} and ${quoted(name)}` });
    else found.set(path, { name, tensor });
  }
  const embedding = found.get(EMBEDDING)?.tensor;
  for (const { name, tensor } of heads) {
    if (embedding !== undefined && sameBits(tensor, embedding)) continue;
    problems.push({
      kind: "a head that is not the embedding",
      detail: quoted(name),
    });
  }
  return { found, problems };
}

function convertAll(
  expected: ReadonlyMap<string, HostTensor>,
  found: ReadonlyMap<string, Found>,
  round: boolean,
): { readonly values: ReadonlyMap<string, HostTensor>; readonly misfits: readonly Problem[] } {
  const values = new Map<string, HostTensor>();
  const misfits: Problem[] = [];
  for (const [path, wanted] of expected) {
    const given = found.get(path);
    if (given === undefined) {
      misfits.push({ kind: "missing", detail: describe(path, wanted) });
      continue;
    }
    const { name, tensor } = given;
    if (tensor.shape.join() !== wanted.shape.join() || !(isFloat(tensor.dtype) || tensor.dtype === wanted.dtype)) {
      const detail = `${describe(name, tensor)}, the model has ${formatType(wanted.type)}`;
      misfits.push({ kind: "of another shape or type", detail });
      continue;
    }
    const { value, lost, overflown } = convert(tensor, wanted.dtype);
    const losses = [
      { kind: `too large for ${wanted.dtype}`, count: overflown },
      { kind: `no numbers of ${wanted.dtype}, and rounding was not asked for`, count: round ? 0 : lost },
    ];
    for (const { kind, count } of losses) {
      if (count > 0) misfits.push({ kind, detail: `${count} of ${tensor.data.length} in ${quoted(name)}` });
    }
    values.set(path, value);
  }
  return { values, misfits };
}

function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64";
}

/** With how many numbers are not what they were, and how many of these became infinite. */
function convert(
  tensor: HostTensor,
  dtype: DType,
): { readonly value: HostTensor; readonly lost: number; readonly overflown: number } {
  const { shape, data } = tensor;
  if (tensor.dtype === dtype) return { value: tensor, lost: 0, overflown: 0 };
  const converted = dtype === "float64" ? Float64Array.from(data) : Float32Array.from(data);
  let [lost, overflown] = [0, 0];
  data.forEach((before, i) => {
    const after = converted[i];
    if (Object.is(before, after)) return;
    lost++;
    if (Number.isFinite(before) && !Number.isFinite(after)) overflown++;
  });
  return { value: new HostTensor({ dtype, shape }, converted), lost: lost - overflown, overflown };
}

function sameBits(a: HostTensor, b: HostTensor): boolean {
  if (formatType(a.type) !== formatType(b.type)) return false;
  const [left, right] = [bytesOf(a), bytesOf(b)];
  return left.every((byte, i) => byte === right[i]);
}

function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Of a kind of problem, what is listed; a hostile file has any number. */
const MAX_LISTED = 200;

function requireNone(problems: readonly Problem[], expected: ReadonlyMap<string, HostTensor>): void {
  if (problems.length === 0) return;
  const kinds = new Map<string, string[]>();
  for (const { kind, detail } of problems) {
    const details = kinds.get(kind);
    if (details === undefined) kinds.set(kind, [detail]);
    else details.push(detail);
  }
  const lines = [...kinds].map(([kind, details]) => `\n  ${kind}: ${listed(details)}`);
  const model = listed([...expected].map(([path, tensor]) => describe(path, tensor)));
  throw new CheckpointError(`weights: the file does not fit the model:${lines.join("")}\n  the model has: ${model}`);
}

function listed(items: readonly string[]): string {
  const more = items.length > MAX_LISTED ? `, and ${items.length - MAX_LISTED} more` : "";
  return `${items.slice(0, MAX_LISTED).join(", ")}${more}`;
}

function describe(name: string, { type }: HostTensor): string {
  return `${quoted(name)} ${printable(formatType(type))}`;
}
