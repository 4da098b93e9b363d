/** Type-checks the code of every document as strictly as the packages. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { typeErrors } from "./check-types.ts";
import { blocksOf, documents, moduleOf, runnable } from "./run-markdown.ts";

it("the code in the documents has no type errors", { timeout: 120_000 }, () => {
  const modules = documents.map((path) => {
    const code = moduleOf(runnable(blocksOf(readFileSync(path, "utf8"))));
    return [`${path}.ts`, `${code}\nexport {};`] as const;
  });
  expect(typeErrors(new Map(modules))).toEqual([]);
});
