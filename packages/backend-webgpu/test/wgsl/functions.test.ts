/** The library of functions as text: what a function uses is what it calls, and comes before it, once. */
import { expect, test } from "vitest";
import { functions, functionsText } from "../../src/wgsl/functions.ts";

const names = Object.keys(functions);

test.each(names)("%s uses what it calls", (name) => {
  const { source, uses } = functions[name]!;
  expect(source).toContain(`fn ${name}(`);
  const called = names.filter((other) => other !== name && source.includes(`${other}(`));
  expect(called.sort()).toEqual([...uses].sort());
});

test("functions come once, after those that they use, in one order", () => {
  const text = functionsText(names);
  expect(functionsText([...names].reverse().concat(names))).toBe(text);
  for (const name of names) {
    expect(text.split(`fn ${name}(`)).toHaveLength(2);
    for (const used of functions[name]!.uses)
      expect(text.indexOf(`fn ${used}(`)).toBeLessThan(text.indexOf(`fn ${name}(`));
  }
});

test("only what is used is there", () => {
  expect(functionsText(["fp_tanh"]).match(/fn \w+/g)).toEqual(["fn fp_is_nan", "fn fp_tanh"]);
  expect(functionsText([])).not.toContain("fn ");
});

test("an unknown name is an error", () => {
  expect(() => functionsText(["toString"])).toThrow(RangeError);
});
