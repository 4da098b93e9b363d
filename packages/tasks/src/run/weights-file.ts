/** Weights in the file system: read whole, with what is recorded of them, and written without replacing anything unasked. */
import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CheckpointError } from "@banach/autograd";
import { errorCode, writeAtomically } from "./files.ts";
import { readWeights, type ReadWeightsOptions, writeWeights, type WriteWeightsOptions } from "./weights.ts";

/** Which weights they are. */
export interface WeightsRecord {
  /** The path, as it was given. */
  readonly file: string;
  /** Of the bytes, hexadecimal. */
  readonly sha256: string;
  /** Whether numbers might be rounded. */
  readonly rounded: boolean;
}

/** The parameters in a file: see readWeights. Throws CheckpointError, which names the file. */
export async function loadWeights<P>(
  path: string,
  like: P,
  options: ReadWeightsOptions = {},
): Promise<{ readonly params: P; readonly record: WeightsRecord }> {
  const bytes = await readWhole(path).catch((error: unknown) => {
    const why = errorCode(error) === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new CheckpointError(`${path} cannot be read: ${why}`, { cause: error });
  });
  try {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const record = { file: path, sha256, rounded: options.round ?? false };
    return { params: readWeights(bytes, like, options), record };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  // A device or a pipe may never end.
  if (!(await stat(path)).isFile()) throw new CheckpointError("it is no file");
  return readFile(path);
}

export interface SaveWeightsOptions extends WriteWeightsOptions {
  /** Replaces a file that is there; default false. */
  readonly force?: boolean;
}

/** Writes parameters to a file, whole or not at all. Throws CheckpointError for one that is there already. */
export async function saveWeights(path: string, params: unknown, options: SaveWeightsOptions = {}): Promise<void> {
  const { force = false, ...how } = options;
  const existing = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  });
  if (existing !== null && !existing.isFile()) throw new CheckpointError(`${path} exists and is no file`);
  if (existing !== null && !force) {
    throw new CheckpointError(
      `${path} exists; files are not overwritten, so give another name, or --force to replace it`,
    );
  }
  const bytes = writeWeights(params, how);
  await mkdir(dirname(path), { recursive: true });
  await writeAtomically(path, bytes);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
