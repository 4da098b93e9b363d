/** Threads: a pool of workers on one shared memory, and how the code of a program is shared by them. */
export { CONTROL_BYTES } from "./control.ts";
export { coreCount, maySleep } from "./host-thread.ts";
export { ThreadPool } from "./pool.ts";
export { alone, type Part, type Team, Threads, type ThreadsOptions } from "./team.ts";
