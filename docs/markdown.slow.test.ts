/**
 * Runs the code of every document, compares what it prints, and follows the links.
 * BANACH_UPDATE_DOCS=1 writes what was printed into the documents instead.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { blocksOf, documents, runMarkdown, runnable, shortPath, withOutput } from "./run-markdown.ts";

const update = process.env["BANACH_UPDATE_DOCS"] === "1";

describe.each(documents.map((path) => ({ path, name: shortPath(path) })))("$name", ({ path }) => {
  const markdown = readFileSync(path, "utf8");

  // A document without code has nothing to run, and so no such test.
  if (runnable(blocksOf(markdown)).length > 0) {
    it("prints what it says", { timeout: 120_000 }, async () => {
      const runs = await runMarkdown(path);
      if (update) writeFileSync(path, withOutput(markdown, runs));
      else {
        for (const { line, printed, expected } of runs)
          expect({ line, printed }).toEqual({ line, printed: expected?.code ?? "" });
      }
    });
  }

  it("links to files that exist", () => {
    const links = [...markdown.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(join(dirname(path), link)))).toEqual([]);
  });
});
