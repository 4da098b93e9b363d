import { test } from "vitest";
import { expectSameTraining, PLACES, SMALL_PLANS } from "./first-steps.ts";

test.each(Object.entries(SMALL_PLANS))(
  "on wasm, %s: the losses of the reference, and the same bits each time",
  { timeout: 20_000 },
  (_, plan) => expectSameTraining(PLACES.wasm, plan),
);
