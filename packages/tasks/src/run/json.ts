/** JSON from files that may be damaged or hostile: limited depth, no key twice. JSON.parse does the reading proper. */
import { CheckpointError } from "@banach/autograd";
import { printable, quoted } from "./printable.ts";

/** How deep objects and arrays may nest. */
export const MAX_DEPTH = 32;

/** What a text can be refused for. */
export type JsonFault = "json" | "depth" | "duplicateKey";

/** Throws the error of a fault. */
export type Refuse = (fault: JsonFault, detail: string) => never;

/**
 * The value of a JSON text. Throws CheckpointError, opening with `what`, or what `refuse` throws, if it is no JSON, nests
 * deeper than MAX_DEPTH, or has a key twice in one object (JSON.parse would keep the last of them and say nothing).
 */
export function parseJson(text: string, what: string, refuse: Refuse = refusal(what)): unknown {
  scan(text, refuse);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    return refuse("json", `not JSON (${printable(error instanceof Error ? error.message : String(error))})`);
  }
}

function refusal(what: string): Refuse {
  return (_, detail) => {
    throw new CheckpointError(`${what}: ${detail}`);
  };
}

/** Whether a value is an object with keys, as opposed to an array or null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Follows only what matters for depth and keys; a text with other faults is left to JSON.parse. */
function scan(text: string, refuse: Refuse): void {
  /** The keys of each open object, null for an array. */
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : null);
      if (open.length > MAX_DEPTH) refuse("depth", `JSON nests deeper than ${MAX_DEPTH}`);
    } else if (character === "}" || character === "]") {
      open.pop();
    } else if (character === '"') {
      const end = stringEnd(text, i);
      const keys = open.at(-1);
      if (keys instanceof Set && isKey(text, end)) addKey(keys, text.slice(i, end), refuse);
      i = end - 1;
    }
  }
}

/** The position after the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let i = end;
  while (text[i] === " " || text[i] === "\n" || text[i] === "\r" || text[i] === "\t") i++;
  return text[i] === ":";
}

function addKey(keys: Set<string>, literal: string, refuse: Refuse): void {
  let key: string;
  try {
    // Escapes are undone, so that "a" and "\u0061" are the same key.
    key = String(JSON.parse(literal));
  } catch {
    return;
  }
  if (keys.has(key)) refuse("duplicateKey", `duplicate key ${quoted(key)}`);
  keys.add(key);
}
