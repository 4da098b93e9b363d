import { hostTensor, linearRecurrence, makeGraph, type Tracer, whileLoop } from "@banach/autograd";
import { describe, expect, test } from "vitest";
import type { Task } from "../src/framework.ts";
import { fastest } from "../src/peers/fastest.ts";
import type { Row } from "../src/report.ts";
import { estimate } from "../src/webgpu/estimate.ts";
import { runInPage } from "../src/webgpu/in-page.ts";
import type { WebgpuResults } from "../src/webgpu/measure.ts";
import { type SentRow, sentRows, sentTable, wantedOf } from "../src/webgpu/report.ts";
import { leftOut, webgpuSuite } from "../src/webgpu/suite.ts";

const zeros = (shape: readonly number[]) =>
  hostTensor({ dtype: "float32", shape }, new Float32Array(shape.reduce((a, b) => a * b, 1)));
const matrix = zeros([32, 16]);

describe("the estimate of a graph", () => {
  test("counts each tensor of a kernel once", () => {
    const graph = makeGraph((x: Tracer, y: Tracer) => x.mul(y).add(x), matrix, matrix);
    expect(estimate(graph)).toMatchObject({ equations: 2, executed: 2, kernels: 1, bytes: 3 * 4 * 32 * 16 });
  });

  test("counts a broadcast operand at its own size", () => {
    const graph = makeGraph((x: Tracer, bias: Tracer) => x.add(bias), matrix, zeros([16]));
    expect(estimate(graph).bytes).toBe(4 * (2 * 32 * 16 + 16));
  });

  test("counts two operations for each multiplication of a product", () => {
    const other = zeros([16, 8]);
    const graph = makeGraph((a: Tracer, b: Tracer) => a.matmul(b), matrix, other);
    expect(estimate(graph)).toMatchObject({ operations: 2 * 32 * 16 * 8, bytes: 4 * (32 * 16 + 16 * 8 + 32 * 8) });
  });

  test("counts a recurrence once, however many steps it has", () => {
    const graph = makeGraph((a: Tracer, b: Tracer) => linearRecurrence(a, b), zeros([2, 64, 8]), zeros([2, 64, 8]));
    expect(estimate(graph)).toMatchObject({ kernels: 1, bytes: 3 * 4 * 2 * 64 * 8 });
  });

  test("runs the bodies of outermost whiles as often as it is told", () => {
    const graph = makeGraph((start: Tracer) => {
      const init = { x: start };
      return whileLoop(
        ({ x }) => x.sum().less(1e9),
        ({ x }) => ({ x: x.mul(2).add(1) }),
        init,
        { maxSteps: 9 },
      ).carry.x;
    }, matrix);
    const [few, many] = [estimate(graph, [1]), estimate(graph, [5])];
    expect(many.equations).toBe(few.equations);
    expect(many.executed).toBeGreaterThan(few.executed);
    expect(many.bytes).toBeGreaterThan(few.bytes);
    expect(many.operations).toBeGreaterThan(few.operations ?? Infinity);
  });
});

const task = (run: () => Promise<void>, dispose = (): void => undefined): Task => ({ run, dispose });

describe("the fastest of several programs", () => {
  test("is not one that fails, and what is not kept is disposed", async () => {
    const disposed: string[] = [];
    const works = task(
      () => Promise.resolve(),
      () => disposed.push("works"),
    );
    const fails = task(
      () => Promise.reject(new Error("too many bindings")),
      () => disposed.push("fails"),
    );
    expect(await fastest([() => fails, () => works])).toBe(works);
    expect(disposed).toEqual(["fails"]);
  });

  test("is the only one, which is not run, or none", async () => {
    let runs = 0;
    const only = task(() => {
      runs++;
      return Promise.resolve();
    });
    expect(await fastest([() => only])).toBe(only);
    expect(runs).toBe(0);
    expect(await fastest([])).toBeUndefined();
  });
});

describe("the suite", () => {
  test("has the same groups at every scale, and names that tell its rows apart", () => {
    const groups = Object.keys(webgpuSuite("gpu"));
    for (const scale of ["tiny", "software", "gpu"] as const) {
      const suite = webgpuSuite(scale);
      expect(Object.keys(suite)).toEqual(groups);
      const names = Object.values(suite).flatMap((entries) => entries.map(({ name }) => name));
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test("says what a driver in software leaves out", () => {
    expect(leftOut("software")).toContain("GEMM 2048 and 4096");
    expect(leftOut("gpu")).toBeNull();
  });
});

const inspected = { dispatches: 20, submits: 1, reads: 1, deviceTime: 2 };
const own = {
  equations: 90,
  executed: 900,
  kernels: 30,
  bytes: 3e6,
  operations: 1e7,
  encode: 2,
  floor: 1.5,
  submit: 50,
};
const results: WebgpuResults = {
  scale: "tiny",
  adapters: ["an adapter"],
  peers: {},
  notes: [],
  races: [
    {
      name: "FP-RNN train step B2 T4 d4",
      raced: {
        ours: { name: "fused", samples: [], inspected: { ...inspected, own } },
        rivals: [{ name: "composed", samples: [], inspected }],
        limits: [],
      },
    },
  ],
  device: { mulAdd: 50, copy: 3 },
};

describe("the report", () => {
  test("has a line for each contestant, with shares of what the device reaches", () => {
    const rows = sentRows(results);
    expect(rows.map(({ by, ofCopy, ofMulAdd }) => [by, ofCopy, ofMulAdd])).toEqual([
      ["fused", 0.5, 0.1],
      ["composed", null, null],
    ]);
    expect(sentTable(rows).split("\n")).toHaveLength(3);
  });

  test("checks what was wanted of the rows that are there", () => {
    const row = (work: string, ratio: number, peer: string): Row => ({
      ...{ work, unit: "ms", ours: 1, peers: { [peer]: ratio }, ratio, ceiling: null, fraction: null },
    });
    const rows = [
      row("layer norm [8,16]", 0.9, "tfjs"),
      row("recurrence [2,8,16]", 6, "tfjs"),
      row("FP-RNN train step B2 T4 d4", 0.5, "composed"),
    ];
    const wanted = wantedOf(rows, sentRows(results));
    expect(wanted.map(({ value, isMet }) => [value, isMet])).toEqual([
      [20 / 90, true],
      [2, true],
      [0.9, false],
      [6, true],
    ]);
    expect(wanted[1]?.what).toMatch(/for each dispatch .* WebGPU's calls alone take 1\.5/);
    expect(wantedOf([], [] satisfies SentRow[])).toEqual([]);
  });
});

describe("a page", () => {
  const order = {
    ...{ tiny: true, timestamps: false, versions: null },
    measuring: { clock: "wall", samples: 1, fewest: 1, warmUp: 0, sampleTime: 0, budget: 0 },
  } as const;
  const post = (url: string, value: unknown) => fetch(url, { method: "POST", body: JSON.stringify(value) });

  test("is given its order, reports its progress, and hands back the results", async () => {
    const rows: string[] = [];
    let closed = false;
    const found = await runInPage({
      order,
      script: new TextEncoder().encode("script"),
      open: async (url) => {
        const { headers } = await fetch(url);
        expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
        expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
        expect(await (await fetch(`${url}page.js`)).text()).toBe("script");
        expect(await (await fetch(`${url}order`)).json()).toEqual(order);
        expect((await fetch(`${url}elsewhere`)).status).toBe(404);
        await post(`${url}progress`, "a row");
        expect(await (await post(`${url}results`, results)).text()).toBe("the text");
        return () => {
          closed = true;
          return Promise.resolve();
        };
      },
      onRow: (name) => rows.push(name),
      show: () => "the text",
    });
    expect(found).toEqual(results);
    expect(rows).toEqual(["a row"]);
    expect(closed).toBe(true);
  });

  test("fails with what went wrong on it", async () => {
    const open = async (url: string): Promise<() => Promise<void>> => {
      await post(`${url}error`, "no adapter");
      return () => Promise.resolve();
    };
    const options = { order, script: new Uint8Array(), open, onRow: () => undefined, show: () => "" };
    await expect(runInPage(options)).rejects.toThrow("on the page: no adapter");
  });
});
