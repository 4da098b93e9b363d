/** Options of tasks as texts: defaults filled in, unknown names and values refused. */
import { UnknownNameError } from "../errors.ts";
import type { TaskDefinition } from "./task.ts";

/** All options of a task. Throws UnknownNameError for a name that it does not have or a value that it does not list. */
export function resolveOptions(
  task: TaskDefinition,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(given)) {
    const option = task.options.find((candidate) => candidate.name === name);
    if (option === undefined) {
      const names = task.options.map((candidate) => candidate.name);
      throw new UnknownNameError(`option of task ${task.name}`, name, names);
    }
    if (option.choices?.includes(value) === false) throw new UnknownNameError(name, value, option.choices);
  }
  return Object.fromEntries(task.options.map((option) => [option.name, given[option.name] ?? option.default]));
}
