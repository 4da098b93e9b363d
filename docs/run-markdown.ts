/** Runs the code of a Markdown file: its `ts` blocks are one module, and a `text` block below one is what it prints. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { format } from "node:util";
import { build, type Plugin } from "esbuild";

/** The root of the repository. */
export const root: string = fileURLToPath(new URL("..", import.meta.url));

export interface Block {
  /** First word after the fence: `ts`, `text`, ... */
  readonly language: string;
  /** The other words: `ts` blocks with any of them are not run with the rest. */
  readonly tags: readonly string[];
  readonly code: string;
  /** Index of the fence's line in the file. */
  readonly line: number;
  /** Index of the line of the closing fence. */
  readonly end: number;
}

/** The fenced blocks of a Markdown text, in order. Throws if a fence is not closed. */
export function blocksOf(markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  for (let line = 0; line < lines.length; line++) {
    const [, info] = /^```(.*)$/.exec(lines[line] ?? "") ?? [];
    if (info === undefined) continue;
    const end = lines.indexOf("```", line + 1);
    if (end === -1) throw new Error(`line ${line + 1}: the code block is not closed`);
    const [language = "", ...tags] = info.trim().split(/\s+/);
    blocks.push({ language, tags, code: lines.slice(line + 1, end).join("\n"), line, end });
    line = end;
  }
  return blocks;
}

/** The blocks that are run: `ts` without a tag, or those with the tag. */
export function runnable(blocks: readonly Block[], tag?: string): Block[] {
  return blocks.filter(
    ({ language, tags }) => language === "ts" && (tag === undefined ? tags.length === 0 : tags.includes(tag)),
  );
}

/** The blocks as one module whose lines are those of the Markdown file, so that errors name the right ones. */
export function moduleOf(blocks: readonly Block[], mark: (index: number) => string = () => ""): string {
  const lines: string[] = [];
  blocks.forEach((block, i) => {
    while (lines.length < block.line) lines.push("");
    lines.push(mark(i), ...block.code.split("\n"));
  });
  return lines.join("\n");
}

/** What one block printed, and what the file says that it prints. */
export interface BlockRun {
  /** Line of the block's fence, from 1. */
  readonly line: number;
  readonly printed: string;
  /** The `text` block that follows with nothing but blank lines between; null if there is none. */
  readonly expected: Block | null;
}

const folder = join(root, "node_modules", ".banach", "docs");

/** Bundles a module of the workspace from its sources and imports it. */
export async function runModule(
  name: string,
  code: string,
  plugins: Plugin[] = [],
): Promise<Readonly<Record<string, unknown>>> {
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${basename(name)}-${process.pid}-${performance.now()}.mjs`);
  await build({
    stdin: { contents: code, loader: "ts", resolveDir: root, sourcefile: name },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@banach/source"],
    sourcemap: "inline",
    logLevel: "silent",
    plugins,
  });
  process.setSourceMapsEnabled(true);
  return (await import(/* @vite-ignore */ pathToFileURL(outfile).href)) as Readonly<Record<string, unknown>>;
}

export interface RunOptions {
  /** Runs the `ts` blocks with this tag instead of those without one. */
  readonly tag?: string;
  readonly plugins?: Plugin[];
}

/** Runs the blocks of a Markdown file in one scope, from top to bottom. Throws what they throw. */
export async function runMarkdown(path: string, { tag, plugins = [] }: RunOptions = {}): Promise<BlockRun[]> {
  const markdown = readFileSync(path, "utf8");
  const all = blocksOf(markdown);
  const blocks = runnable(all, tag);
  // The module's own console: what it prints is kept with the block that printed it.
  const header = `export const __printed = []; let __at = 0; const console = { log: (...args) => { (__printed[__at] ??= []).push(args); } };`;
  const code = moduleOf(blocks, (i) => (i === 0 ? `${header} __at = 0;` : `__at = ${i};`));
  const { __printed } = await runModule(shortPath(path), code, plugins);
  const printed = __printed as readonly (readonly (readonly unknown[])[] | undefined)[];
  const lines = markdown.split("\n");
  return blocks.map((block, i) => {
    const next = all[all.indexOf(block) + 1];
    const follows =
      next?.language === "text" &&
      lines
        .slice(block.end + 1, next.line)
        .join("")
        .trim() === "";
    return {
      line: block.line + 1,
      printed: (printed[i] ?? []).map((args) => format(...args)).join("\n"),
      expected: follows ? next : null,
    };
  });
}

/** Puts what was printed in the place of the `text` blocks. */
export function withOutput(markdown: string, runs: readonly BlockRun[]): string {
  const lines = markdown.split("\n");
  for (const { expected, printed } of runs.toReversed()) {
    if (expected !== null) lines.splice(expected.line + 1, expected.end - expected.line - 1, printed);
  }
  return lines.join("\n");
}

/** The path below the root, as the repository writes it. */
export function shortPath(path: string): string {
  return relative(root, path).replaceAll("\\", "/");
}

/** The Markdown files of the documentation. */
export const documents: readonly string[] = [
  join(root, "README.md"),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => join(root, "docs", name)),
];
