/** The threads of a backend: started once, woken once per run, never in the way of the end of the process. */
import type { WasmMemory, WasmModule } from "../wasm/index.ts";
import { CONTROL, CONTROL_BYTES } from "./control.ts";
import { type Answer, type HostThread, startThread } from "./host-thread.ts";
import { workerSource } from "./worker-source.ts";

/** Milliseconds for a thread to start. */
const START_LIMIT = 10_000;

interface Timers {
  setTimeout(callback: () => void, milliseconds: number): object | number;
  clearTimeout(timer: object | number): void;
}

const timers = globalThis as unknown as Timers;

/** A thread and the answer that is waited for. */
class Member {
  private thread: HostThread | null = null;
  private waiting: ((answer: Answer) => void) | null = null;
  private end: Answer | null = null;
  /** Called once, when the thread has died or cannot be started. */
  private readonly died: (why: string) => void;

  constructor(died: (why: string) => void) {
    this.died = died;
  }

  async start(source: string, name: string, memory: WasmMemory, thread: number): Promise<void> {
    this.thread = await startThread(source, name, {
      answer: (answer) => {
        this.settle(answer);
      },
      ended: (message) => {
        this.settle({ kind: "failed", message });
      },
    });
    const timer = timers.setTimeout(() => {
      this.settle({ kind: "failed", message: `no answer within ${START_LIMIT / 1000} s` });
    }, START_LIMIT);
    try {
      await this.ask({ kind: "start", memory, thread });
    } finally {
      timers.clearTimeout(timer);
    }
  }

  /** Sends a message, now, and waits until the thread is done with it. Rejects with the reason if it cannot be. */
  async ask(message: unknown): Promise<void> {
    const { thread } = this;
    if (thread === null) throw new Error("it has not been started");
    const answered = new Promise<Answer>((resolve) => {
      this.waiting = resolve;
    });
    if (this.end !== null) this.settle(this.end);
    // Somebody waits for this answer, so the process may not end before it.
    thread.hold(true);
    thread.post(message);
    const answer = await answered;
    thread.hold(false);
    if (answer.kind === "failed") throw new Error(answer.message);
  }

  /** Ends the thread; whoever waits for an answer gets none. */
  async stop(): Promise<void> {
    this.settle({ kind: "failed", message: "it was stopped" });
    await this.thread?.stop();
  }

  private settle(answer: Answer): void {
    if (answer.kind === "failed" && this.end === null) {
      this.end = answer;
      this.died(answer.message);
    }
    this.waiting?.(answer);
    this.waiting = null;
  }
}

export class ThreadPool {
  /** Threads, the caller's own among them. */
  readonly size: number;
  private readonly members: readonly Member[];
  private readonly control: Int32Array;
  private programs = 0;
  private readonly dropped: number[] = [];
  /** Messages go out one after the other: a thread returns to its event loop for one at a time. */
  private queue: Promise<void> = Promise.resolve();
  /** Why nothing can be run any more. */
  private end: string | null = null;
  private resolveEnded: (why: string) => void = () => undefined;
  /** Resolves when a thread has died, or all have been stopped. */
  readonly ended: Promise<string> = new Promise<string>((resolve) => {
    this.resolveEnded = resolve;
  });

  private constructor(memory: WasmMemory, size: number) {
    this.size = size;
    this.control = new Int32Array(memory.buffer, 0, CONTROL_BYTES / 4);
    this.members = Array.from(
      { length: size - 1 },
      () =>
        new Member((why) => {
          this.die(why);
        }),
    );
  }

  /** Starts `size - 1` threads on a shared memory. Rejects with the reason, and leaves none behind, if one does not start. */
  static async start(memory: WasmMemory, size: number, source: string = workerSource): Promise<ThreadPool> {
    const pool = new ThreadPool(memory, size);
    const starts = pool.members.map((member, i) => member.start(source, `banach ${i + 1}`, memory, i + 1));
    const failure = (await Promise.allSettled(starts)).find(({ status }) => status === "rejected");
    if (failure?.status === "rejected") {
      await pool.stop();
      throw failure.reason;
    }
    return pool;
  }

  /** Gives every thread an instance of a module; resolves with the number by which `run` knows it. */
  load(module: WasmModule): Promise<number> {
    const program = ++this.programs;
    const loaded = this.queue.then(async () => {
      const message = { kind: "load", module, program, drop: this.dropped.splice(0) };
      const answers = this.members.map((member) => member.ask(message));
      // After the messages have been posted: a thread that waits for one must not need this thread to get it.
      this.signal(CONTROL.yields);
      await Promise.all(answers);
      return program;
    });
    this.queue = loaded.then(
      () => undefined,
      () => undefined,
    );
    return loaded;
  }

  /** A program that will not be run again. */
  drop(program: number): void {
    this.dropped.push(program);
  }

  /** Runs a program on every thread; `own` is the caller's share. Its last barrier makes all of them end together. */
  run(program: number, table: number, own: () => void): void {
    if (this.end !== null) throw new Error(this.end);
    this.control[CONTROL.program / 4] = program;
    this.control[CONTROL.table / 4] = table;
    this.signal(CONTROL.runs);
    try {
      own();
    } catch (error) {
      this.die(String(error));
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** The others must not wait at a barrier for a thread that is gone. */
  private die(why: string): void {
    this.end ??= why;
    Atomics.store(this.control, CONTROL.failed / 4, 1);
    Atomics.notify(this.control, CONTROL.phase / 4);
    this.resolveEnded(this.end);
  }

  private signal(word: number): void {
    Atomics.add(this.control, word / 4, 1);
    Atomics.add(this.control, CONTROL.wake / 4, 1);
    // A thread that falls asleep now has been counted before, or finds the word changed.
    if (Atomics.load(this.control, CONTROL.idle / 4) > 0) Atomics.notify(this.control, CONTROL.wake / 4);
  }
}
