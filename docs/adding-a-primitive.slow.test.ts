/** Applies the rows of adding-a-primitive.md to a copy of the sources in memory: compiles, runs and audits the result. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "esbuild";
import { describe, expect, it } from "vitest";
import { typeErrors } from "./check-types.ts";
import { blocksOf, moduleOf, root, runMarkdown, runnable, withOutput } from "./run-markdown.ts";

const path = join(root, "docs", "adding-a-primitive.md");
const markdown = readFileSync(path, "utf8");
const blocks = blocksOf(markdown);
const update = process.env["BANACH_UPDATE_DOCS"] === "1";

interface Insertion {
  readonly file: string;
  readonly after: string;
  readonly lines: readonly string[];
}

/** `// <file>, after: <line>`, then the lines to insert there. */
function insertionsOf(code: string): Insertion[] {
  return code.split(/^(?=\/\/ \S+, after: )/m).map((part) => {
    const [header = "", ...lines] = part.trimEnd().split("\n");
    const [, file, after] = /^\/\/ (\S+), after: (.*)$/.exec(header) ?? [];
    if (file === undefined || after === undefined) throw new Error(`not an insertion: ${header}`);
    return { file: join(root, file), after, lines };
  });
}

/** The sources with the rows in place. Throws if a file does not exist or the line is not found once. */
function patched(insertions: readonly Insertion[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { file, after, lines } of insertions) {
    const text = (texts.get(file) ?? readFileSync(file, "utf8")).split("\n");
    const places = text.flatMap((line, i) => (line.trim() === after ? [i] : []));
    const [place] = places;
    if (place === undefined || places.length > 1) throw new Error(`${file}: ${places.length} lines are '${after}'`);
    texts.set(file, text.toSpliced(place + 1, 0, ...lines).join("\n"));
  }
  return texts;
}

const rows = runnable(blocks, "rows").map(({ code }) => insertionsOf(code));
const all = patched(rows.flat());
const sources = join(root, "packages", "autograd", "src");

describe("adding a primitive", () => {
  it("one line makes the compiler name the tables", { timeout: 120_000 }, () => {
    const entries = ["index.ts", "testing/index.ts"].map((name) => join(sources, name));
    const texts = new Map([
      ...patched(rows[0] ?? []),
      ...entries.map((file) => [file, readFileSync(file, "utf8")] as const),
    ]);
    const errors = typeErrors(texts).map((line) => {
      const [, file = line, table = ""] =
        /^(\S+)\(\d+\): .*'erf' is missing .* required in type '(\w+)'/.exec(line) ?? [];
      return `${file}: 'erf' is missing in ${table}`;
    });
    const block = blocks.find(({ tags }) => tags.includes("errors"));
    const printed = errors.sort().join("\n");
    if (update && block !== undefined) {
      writeFileSync(path, withOutput(readFileSync(path, "utf8"), [{ line: 0, printed, expected: block }]));
    } else expect(printed).toBe(block?.code);
  });

  it("with all rows it compiles", { timeout: 120_000 }, () => {
    const code = `${moduleOf(runnable(blocks, "patched"))}\nexport {};`;
    expect(typeErrors(new Map([...all, [`${path}.ts`, code]]))).toEqual([]);
  });

  it("and does what the document says", { timeout: 120_000 }, async () => {
    const overlay: Plugin = {
      name: "rows",
      setup: (build) => {
        build.onLoad({ filter: /packages[\\/]autograd[\\/]src[\\/].*\.ts$/ }, (args) => {
          const contents = all.get(args.path);
          return contents === undefined ? null : { contents, loader: "ts" };
        });
      },
    };
    const runs = await runMarkdown(path, { tag: "patched", plugins: [overlay] });
    if (update) writeFileSync(path, withOutput(readFileSync(path, "utf8"), runs));
    else
      for (const { line, printed, expected } of runs)
        expect({ line, printed }).toEqual({ line, printed: expected?.code ?? "" });
  });
});
