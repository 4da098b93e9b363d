import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

/** What a consumer's bundler makes of a program: one ES module, unused code dropped as `sideEffects: false` allows. */
async function bundle(program: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    minify: true,
    conditions: ["@banach/source"],
  });
  return outputFiles[0]!.text;
}

async function run(program: string): Promise<unknown> {
  const module: { result: unknown } = await import(`data:text/javascript,${encodeURIComponent(await bundle(program))}`);
  return module.result;
}

describe("a consumer's bundle", () => {
  it("keeps the methods of tensors although it imports none of them", async () => {
    const result = run(`
      import { array, jit } from "@banach/autograd";
      import { reference } from "@banach/autograd/reference";
      const device = await reference();
      const f = jit((x) => x.matmul(x).add(1).sum(), { device });
      export const result = await (await f(array([[1, 2], [3, 4]]))).item();
    `);
    expect(await result).toBe(7 + 10 + 15 + 22 + 4);
  });

  it("keeps them for functions evaluated at once on the host", async () => {
    const result = run(`
      import { array, eagerly } from "@banach/autograd";
      export const result = eagerly((x) => x.mul(3))(array(2)).item();
    `);
    expect(await result).toBe(6);
  });

  it("drops what it does not use", async () => {
    const little = await bundle(`export { key } from "@banach/autograd";`);
    const all = await bundle(`export * from "@banach/autograd";`);
    expect(little.length).toBeLessThan(all.length / 2);
  });

  it("touches no platform on import", async () => {
    const text = await bundle(`export * from "@banach/autograd"; export * from "@banach/autograd/reference";`);
    expect(text).not.toMatch(/\b(?:process|require|navigator|document|window)\b\s*[.([]/);
  });
});
