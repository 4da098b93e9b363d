/** Has the suite run on a page, which this process serves to this machine alone. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebgpuOrder, WebgpuResults } from "./measure.ts";

export interface PageOrder extends WebgpuOrder {
  /** Of the peers; null for none. */
  readonly versions: Readonly<Record<"jax-js" | "tfjs", string>> | null;
}

export interface PageOptions {
  readonly order: PageOrder;
  /** The page's program. */
  readonly script: Uint8Array;
  /** Opens the page in some browser; resolves with how it is closed. */
  readonly open: (url: string) => Promise<() => Promise<void>>;
  readonly onRow: (name: string) => void;
  /** What the page shows in the end. */
  readonly show: (results: WebgpuResults) => string;
}

/** An isolated page has a clock that is good to 5 us and not to 100. */
const headers = {
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

export async function runInPage({ order, script, open, onRow, show }: PageOptions): Promise<WebgpuResults> {
  let finish: (results: WebgpuResults) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const finished = new Promise<WebgpuResults>((resolve, reject) => {
    [finish, fail] = [resolve, reject];
  });
  // It may fail before the browser has opened the page.
  finished.catch(() => undefined);
  const answers: Readonly<Record<string, (body: string) => readonly [type: string, content: string | Uint8Array]>> = {
    "GET /": () => [
      "text/html",
      `<!doctype html><title>Bench</title><pre></pre><script type="module" src="/page.js"></script>`,
    ],
    "GET /page.js": () => ["text/javascript", script],
    "GET /order": () => ["application/json", JSON.stringify(order)],
    "POST /progress": (body) => {
      onRow(JSON.parse(body) as string);
      return ["text/plain", ""];
    },
    "POST /results": (body) => {
      const results = JSON.parse(body) as WebgpuResults;
      finish(results);
      return ["text/plain", show(results)];
    },
    "POST /error": (body) => {
      fail(new Error(`on the page: ${JSON.parse(body) as string}`));
      return ["text/plain", ""];
    },
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const known = answers[`${request.method ?? ""} ${request.url ?? ""}`];
    if (known === undefined) {
      response.writeHead(404).end();
      return;
    }
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece as string;
    const [type, content] = known(body);
    response.writeHead(200, { "content-type": `${type}; charset=utf-8`, ...headers }).end(content);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      fail(error instanceof Error ? error : new Error(String(error)));
      response.writeHead(500).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const close = await open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    try {
      return await finished;
    } finally {
      await close();
    }
  } finally {
    server.close();
    server.closeIdleConnections();
  }
}
