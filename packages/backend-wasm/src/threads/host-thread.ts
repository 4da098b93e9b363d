/** A thread of the host: a worker of node:worker_threads, or of the browser. Neither library is declared here. */

/** What a worker answers. */
export type Answer = { readonly kind: "done" } | { readonly kind: "failed"; readonly message: string };

export interface HostThread {
  post(message: unknown): void;
  /** Whether the thread keeps the process alive; a new one does. */
  hold(held: boolean): void;
  stop(): Promise<void>;
}

export interface ThreadEvents {
  readonly answer: (answer: Answer) => void;
  /** The thread could not be started, or has ended. */
  readonly ended: (why: string) => void;
}

interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: "message" | "error" | "exit", listener: (value: unknown) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

interface WebWorker {
  postMessage(message: unknown): void;
  onmessage: (event: { readonly data: unknown }) => void;
  onerror: (event: { readonly message?: string }) => void;
  terminate(): void;
}

interface Host {
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly process?: { readonly versions?: { readonly node?: string } };
  readonly Worker?: new (url: string, options: { name: string }) => WebWorker;
  readonly Blob?: new (parts: readonly string[], options: { type: string }) => object;
  readonly URL?: { createObjectURL(blob: object): string; revokeObjectURL(url: string): void };
}

// Where the types of a host are known, they say more than what is used here.
const host = globalThis as unknown as Host;

const inNode = host.process?.versions?.node !== undefined;

/** Cores that this process may use; 1 where that cannot be known. */
export async function coreCount(): Promise<number> {
  if (!inNode) return host.navigator?.hardwareConcurrency ?? 1;
  const system = await nodeLibrary<{ availableParallelism(): number }>("node:os");
  return system.availableParallelism();
}

/** A library of Node, under a name that bundlers for the browser do not follow. */
async function nodeLibrary<T>(name: string): Promise<T> {
  return (await import(/* @vite-ignore */ name)) as T;
}

/** Whether this thread may wait for another in its sleep; the main thread of a page may not. */
export function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** Starts a thread that runs a script. Throws or calls `ended`, with the reason, where that is not possible. */
export async function startThread(source: string, name: string, events: ThreadEvents): Promise<HostThread> {
  return inNode ? startNode(source, name, events) : startWeb(source, name, events);
}

async function startNode(source: string, name: string, { answer, ended }: ThreadEvents): Promise<HostThread> {
  type Threads = { readonly Worker: new (code: string, options: object) => NodeWorker };
  const { Worker } = await nodeLibrary<Threads>("node:worker_threads");
  // The loaders and hooks that the process was started with are of no use to the script, and slow to start.
  const worker = new Worker(source, { eval: true, name, execArgv: [] });
  worker.on("message", (message) => {
    answer(message as Answer);
  });
  worker.on("error", (error) => {
    ended(String(error));
  });
  worker.on("exit", () => {
    ended("it has ended");
  });
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    hold: (held) => {
      if (held) worker.ref();
      else worker.unref();
    },
    stop: async () => {
      await worker.terminate();
    },
  };
}

function startWeb(source: string, name: string, { answer, ended }: ThreadEvents): HostThread {
  const { Worker, Blob, URL } = host;
  if (Worker === undefined || Blob === undefined || URL === undefined) throw new Error("there are no workers here");
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { name });
  // Once it has said something the script has been read.
  let read = false;
  const forget = (): void => {
    if (!read) URL.revokeObjectURL(url);
    read = true;
  };
  worker.onmessage = ({ data }) => {
    forget();
    answer(data as Answer);
  };
  worker.onerror = ({ message }) => {
    forget();
    ended(message ?? "its script was refused; the page's Content-Security-Policy must allow worker-src blob:");
  };
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    hold: () => undefined,
    stop: () => {
      forget();
      worker.terminate();
      return Promise.resolve();
    },
  };
}
