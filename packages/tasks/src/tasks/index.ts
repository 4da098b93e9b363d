/** The tasks, by name. A new one is a file in this folder and a line in the list below. */
import { UnknownNameError } from "../errors.ts";
import type { TaskDefinition } from "./task.ts";
import { wordProblemDefinition } from "./word-problem.ts";

export const taskDefinitions: readonly TaskDefinition[] = [wordProblemDefinition];

/** The task of a name. Throws UnknownNameError, which lists the tasks. */
export function findTask(name: string): TaskDefinition {
  const found = taskDefinitions.find((task) => task.name === name);
  if (found !== undefined) return found;
  throw new UnknownNameError(
    "task",
    name,
    taskDefinitions.map((task) => task.name),
  );
}

export type { Batch, BatchSize, ResumedBatch, Task, TaskDefinition, TaskOption, TaskPosition } from "./task.ts";
export { resolveOptions } from "./task-options.ts";
export { type Score, SPECIAL_TOKENS, wordProblem, type WordProblemOptions } from "./word-problem.ts";
