import { expect, test } from "vitest";
import { formatPercent, formatSeconds, formatTable, timestamp } from "../../src/cli/format.ts";

test.each([
  [1, "100.0 %"],
  [0.9999, "99.9 %"],
  [0.5, "50.0 %"],
  [Number.NaN, "-"],
])("the share %d is %s: only what is complete is 100 %%", (share, text) => {
  expect(formatPercent(share)).toBe(text);
});

test.each([
  [-1, "0 s"],
  [59.4, "59 s"],
  [125, "2 min 5 s"],
  [7260, "2 h 1 min"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test("tables are aligned to the right", () => {
  expect(formatTable(["a", "bcd"], [["10", "1"]])).toEqual([" a  bcd", "10    1"]);
});

test("timestamps sort by time", () => {
  expect(timestamp(new Date(2026, 0, 2, 3, 4, 5))).toBe("20260102-030405");
});
