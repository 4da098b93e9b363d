/** @banach/tasks: groups, tasks, the trainer and run folders. The `banach` command is built on them. */
export { a5Plan } from "./cli/a5-story.ts";
export { UnknownNameError } from "./errors.ts";
export * from "./groups/index.ts";
export { buildRun, type RunParts } from "./models/build.ts";
export * from "./tasks/index.ts";
export * from "./train/index.ts";
export * from "./run/index.ts";
