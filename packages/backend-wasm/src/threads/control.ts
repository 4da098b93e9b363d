/**
 * Words at the start of the memory through which the threads of a backend meet. Each has a cache line of its own, so that
 * waiting for one does not slow down writing to another.
 */
export const CONTROL = {
  /** Threads that have reached the barrier. */
  arrived: 64,
  /** Counts barriers passed; those that wait do so for it to change. */
  phase: 128,
  /** Threads that sleep at the barrier. */
  sleeping: 192,
  /** Set when a thread has died, after which no run can be finished. */
  failed: 256,
  /** Changes whenever a thread without work should look for some. */
  wake: 320,
  /** Threads without work that sleep. */
  idle: 384,
  /** Counts runs: a change is work. */
  runs: 448,
  /** Counts requests to return to the event loop, where messages wait. */
  yields: 512,
  /** What to run: the number of a program, and the address of its table. */
  program: 576,
  table: 580,
} as const;

/** Bytes at the start of the memory that belong to the threads. */
export const CONTROL_BYTES = 640;
