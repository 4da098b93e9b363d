/** Files that are there whole or not at all: written aside, flushed, then renamed into place. */
import { open, readFile, rename, rm, truncate } from "node:fs/promises";
import { dirname } from "node:path";

/** Replaces a file at once. A process killed at any point leaves the old one, or the new one. */
export async function writeAtomically(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a rename survive a power cut, where the system can do that for folders. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch {
    // Windows refuses to open folders; the file itself is safe already.
  }
}

/** Cuts off a last line that has no line feed, as a process that was killed leaves it. No file is as good as an empty one. */
export async function dropTornLine(path: string): Promise<void> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  const whole = bytes.lastIndexOf("\n") + 1;
  if (whole < bytes.length) await truncate(path, whole);
}

/** The code of a file system error, e.g. ENOENT. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
