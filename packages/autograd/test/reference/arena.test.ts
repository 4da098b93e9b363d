import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArenaPlan, type Place } from "../../src/reference/arena.ts";

describe("ArenaPlan", () => {
  it("uses a gap again", () => {
    const plan = new ArenaPlan();
    const [a, b] = [plan.reserve(16), plan.reserve(8)];
    plan.release(a);
    expect(plan.reserve(8).offset).toBe(0);
    expect(plan.reserve(8).offset).toBe(8);
    expect(plan.reserve(1)).toEqual({ offset: b.offset + 8, bytes: 8 });
    expect(plan.bytes).toBe(32);
  });

  it("never lets live places overlap", () => {
    const actions = fc.array(fc.oneof(fc.record({ bytes: fc.nat(100) }), fc.record({ release: fc.nat(20) })));
    fc.assert(
      fc.property(actions, (list) => {
        const plan = new ArenaPlan();
        const live: Place[] = [];
        for (const action of list) {
          if ("bytes" in action) {
            const place = plan.reserve(action.bytes);
            for (const other of live) {
              expect(place.offset + place.bytes <= other.offset || other.offset + other.bytes <= place.offset).toBe(
                true,
              );
            }
            expect(place.offset % 8).toBe(0);
            expect(place.offset + action.bytes).toBeLessThanOrEqual(plan.bytes);
            live.push(place);
          } else if (action.release < live.length) {
            plan.release(live.splice(action.release, 1)[0]!);
          }
        }
      }),
    );
  });
});
