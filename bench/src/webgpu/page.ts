/** The suite on a page: asks its server for the order, runs it, and hands back what came of it. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-webgpu";
import { jaxJs } from "../peers/jax-js.ts";
import { tfjsWebgpu } from "../peers/tfjs-webgpu.ts";
import { measureWebgpu } from "./measure.ts";
import type { PageOrder } from "./in-page.ts";

/** The part of the page that is used: the types of the workspace do not have it. */
interface Page {
  readonly document: { readonly body: { textContent: string } };
  readonly navigator: { readonly userAgent: string };
  readonly crossOriginIsolated: boolean;
}

const { document, crossOriginIsolated } = globalThis as unknown as Page;

async function tell(what: "progress" | "results" | "error", value: unknown): Promise<string> {
  const response = await fetch(`/${what}`, { method: "POST", body: JSON.stringify(value) });
  return response.text();
}

const show = (text: string): void => {
  document.body.textContent = text;
};

try {
  const order = (await (await fetch("/order")).json()) as PageOrder;
  const { versions } = order;
  const results = await measureWebgpu(
    order,
    versions === null
      ? []
      : [
          ["jax-js", () => jaxJs(versions["jax-js"], "webgpu")],
          ["tfjs", () => tfjsWebgpu(tf, versions.tfjs)],
        ],
    (name) => {
      show(`${name} …`);
      void tell("progress", name);
    },
  );
  const coarse = crossOriginIsolated ? [] : ["the page is not isolated: its clock may be good to 0.1 ms only"];
  show(await tell("results", { ...results, notes: [...results.notes, ...coarse] }));
} catch (error) {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  show(message);
  await tell("error", message);
}
