import { key, random } from "@banach/autograd";
import { expect, test } from "vitest";
import { curriculum, fixed, type LengthSchedule, uniform } from "../../src/train/index.ts";

const draw = (schedule: LengthSchedule, n: number, state = schedule.start): number[] =>
  Array.from({ length: n }, (_, i) => schedule.next(state, random.foldIn(key(1), i)));

test("fixed is one length, uniform all of its range", () => {
  expect(new Set(draw(fixed(16), 20))).toEqual(new Set([16]));
  expect([...new Set(draw(uniform(2, 5), 200))].sort()).toEqual([2, 3, 4, 5]);
  expect(uniform(2, 16).full).toBe(16);
});

test("the curriculum grows by a quarter, at least by one, whenever the running accuracy passes the threshold", () => {
  const schedule = curriculum({ from: 3, to: 16, threshold: 0.9 });
  const limits = [schedule.start.limit];
  let state = schedule.start;
  for (let step = 0; step < 1000; step++) {
    state = schedule.observe(state, 1);
    if (state.limit !== limits.at(-1)) limits.push(state.limit);
  }
  expect(limits).toEqual([3, 4, 5, 6, 7, 8, 10, 12, 15, 16]);
  expect(schedule.full).toBe(16);
});

test("the curriculum's lengths come from the upper half of the limit", () => {
  const schedule = curriculum({ from: 3, to: 16 });
  const at = (limit: number): number[] =>
    [...new Set(draw(schedule, 300, { limit, accuracy: 0 }))].sort((a, b) => a - b);
  expect(at(3)).toEqual([3]);
  expect(at(5)).toEqual([3, 4, 5]);
  expect(at(16)).toEqual([8, 9, 10, 11, 12, 13, 14, 15, 16]);
});

test("the curriculum does not grow below the threshold", () => {
  const schedule = curriculum({ from: 3, to: 16, threshold: 0.9 });
  let state = schedule.start;
  for (let step = 0; step < 100; step++) state = schedule.observe(state, 0.89);
  expect(state.limit).toBe(3);
});

test("lengths and thresholds outside their domains are refused", () => {
  expect(() => fixed(0)).toThrow("fixed: lengths must be integers");
  expect(() => uniform(5, 4)).toThrow("1 <= from <= to, got 5 and 4");
  expect(() => curriculum({ from: 1, to: 4, threshold: 1 })).toThrow("threshold must be between 0 and 1");
});
