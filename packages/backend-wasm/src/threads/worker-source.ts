/**
 * The code of a thread, as text: a worker has to be given a script of its own, and a file beside this one would not
 * survive bundling. It runs what `ThreadPool` asks for and knows only the words of CONTROL. Between runs it looks for work
 * for a moment, then sleeps; it returns to its event loop only when told that a message waits.
 */
import { CONTROL } from "./control.ts";

/** Looks for work before going to sleep: some 50 us, so that steps of a training loop find the threads awake. */
const SPINS = 5_000;

const words = Object.entries(CONTROL)
  .map(([name, address]) => `${name}: ${address / 4}`)
  .join(", ");

export const workerSource: string = `"use strict";
const WORD = { ${words} };
const programs = new Map();
let memory, control, thread, runs = 0, yields = 0;

function serve() {
  for (;;) {
    const wake = Atomics.load(control, WORD.wake);
    if (Atomics.load(control, WORD.runs) !== runs) {
      runs = Atomics.load(control, WORD.runs);
      programs.get(control[WORD.program])(control[WORD.table], thread);
      continue;
    }
    if (Atomics.load(control, WORD.yields) !== yields) {
      yields = Atomics.load(control, WORD.yields);
      return;
    }
    let spins = ${SPINS};
    while (spins > 0 && Atomics.load(control, WORD.wake) === wake) spins--;
    if (spins > 0) continue;
    Atomics.add(control, WORD.idle, 1);
    Atomics.wait(control, WORD.wake, wake);
    Atomics.sub(control, WORD.idle, 1);
  }
}

function receive(message) {
  if (message.kind === "start") {
    ({ memory, thread } = message);
    control = new Int32Array(memory.buffer, 0, ${Math.max(...Object.values(CONTROL)) / 4 + 1});
  } else {
    for (const program of message.drop) programs.delete(program);
    const { exports } = new WebAssembly.Instance(message.module, { env: { memory } });
    programs.set(message.program, exports.run);
  }
}

function handle(message, reply) {
  try {
    receive(message);
    reply({ kind: "done" });
    serve();
  } catch (error) {
    // The others must not wait at the barrier for a thread that is gone.
    Atomics.store(control, WORD.failed, 1);
    Atomics.notify(control, WORD.phase);
    reply({ kind: "failed", message: String(error) });
  }
}

if (typeof require === "function") {
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", (message) => handle(message, (answer) => parentPort.postMessage(answer)));
} else {
  onmessage = ({ data }) => handle(data, (answer) => postMessage(answer));
}
`;
