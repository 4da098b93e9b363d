/** Names of parameters in files of weights, mapped to the paths of Banach's trees and back. Names only: layouts are the same. */

/**
 * How a file's names are chosen. `plain`: the paths of the trees, which are the short names of the authors' modules and of
 * golden fixtures, e.g. `blocks.0.mixer.u_proj.v`. `mamba-ssm`: those of the state dict of the authors' PyTorch models and
 * of mamba_ssm's, e.g. `backbone.layers.0.mixer.mixer.u_proj.parametrizations.weight.original1`.
 */
export const NAMINGS = ["plain", "mamba-ssm"] as const;

export type Naming = (typeof NAMINGS)[number];

/** The head of the wrapper of mamba_ssm, which is the embedding a second time. */
export const TIED_HEAD = "lm_head.weight";

export const EMBEDDING = "embedding.weight";

/** Two patterns for the same names: `#` is a number and `*` anything, the same on either side. */
interface Row {
  readonly ours: string;
  readonly theirs: string;
}

/** The wrapper around the layers. */
const WRAPPER: readonly Row[] = [
  { ours: EMBEDDING, theirs: "backbone.embedding.weight" },
  { ours: "norm_f.*", theirs: "backbone.norm_f.*" },
  { ours: "norms.#.*", theirs: "backbone.layers.#.norm.*" },
  { ours: "blocks.#.*", theirs: "backbone.layers.#.mixer.*" },
];

/** Direction and gain of a weight-normalised map: torch.nn.utils.parametrizations.weight_norm. */
const WEIGHT_NORM: readonly Row[] = [
  { ours: "*.v", theirs: "*.parametrizations.weight.original1" },
  { ours: "*.g", theirs: "*.parametrizations.weight.original0" },
];

/** The same of torch.nn.utils.weight_norm, which came before it. Only read. */
const OLD_WEIGHT_NORM: readonly Row[] = [
  { ours: "*.v", theirs: "*.weight_v" },
  { ours: "*.g", theirs: "*.weight_g" },
];

/** What torch.compile puts before the names of a module's parameters. */
const COMPILED = "_orig_mod";

/** The path in a tree of what a file calls `name`, by whichever naming. The head keeps its name. */
export function pathOf(name: string): string {
  const bare = name.split(".").filter((part) => part !== COMPILED);
  const unwrapped = rewrite(bare.join("."), WRAPPER, "theirs", "ours");
  return rewrite(unwrapped, [...WEIGHT_NORM, ...OLD_WEIGHT_NORM], "theirs", "ours");
}

/** The names in a file for the paths of a tree. The head is not among them. */
export function namesOf(paths: readonly string[], naming: Naming): ReadonlyMap<string, string> {
  if (naming === "plain") return new Map(paths.map((path) => [path, path]));
  const all = new Set(paths);
  return new Map(paths.map((path) => [path, rewrite(theirModule(path, all), WRAPPER, "ours", "theirs")]));
}

/** A path with the names that the authors' modules give what is inside a layer. */
function theirModule(path: string, all: ReadonlySet<string>): string {
  // A `v` without a `g` is no weight-normalised map.
  const isNormalised = all.has(path.replace(/\.[vg]$/, ".v")) && all.has(path.replace(/\.[vg]$/, ".g"));
  const named = isNormalised ? rewrite(path, WEIGHT_NORM, "ours", "theirs") : path;
  const [, layer, rest] = /^((?:blocks\.\d+\.)?)mixer\.(.*)$/.exec(named) ?? [];
  // The authors compile the mixer of FP-RNN, and of no other layer.
  if (layer === undefined || rest === undefined || !all.has(`${layer}lambda_proj.weight`)) return named;
  return `${layer}mixer.${COMPILED}.${rest}`;
}

/** By the first row that fits; as it is where none does. */
function rewrite(name: string, rows: readonly Row[], from: keyof Row, to: keyof Row): string {
  for (const row of rows) {
    const found = patternOf(row[from]).exec(name);
    if (found !== null) return fill(row[to], found.slice(1));
  }
  return name;
}

function patternOf(pattern: string): RegExp {
  const source = pattern
    .replaceAll(".", String.raw`\.`)
    .replaceAll("*", "(.+)")
    .replaceAll("#", String.raw`(0|[1-9]\d*)`);
  return new RegExp(`^${source}$`, "s");
}

function fill(pattern: string, parts: readonly string[]): string {
  let next = 0;
  return pattern.replaceAll(/[#*]/g, () => parts[next++] ?? "");
}
