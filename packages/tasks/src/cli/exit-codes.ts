/** How the command ends, as numbers, and which error means which. */
import {
  ArgumentError,
  BackendLostError,
  BackendUnavailableError,
  CheckpointError,
  OutOfMemoryError,
} from "@banach/autograd";
import { CommanderError } from "commander";

export const EXIT = {
  ok: 0,
  /** What was asked for did not come out, e.g. a target accuracy. */
  checkFailed: 1,
  /** An unknown command, option or value, or a folder that cannot be used. */
  usage: 2,
  /** This machine: a backend that does not start, memory, the file system. */
  environment: 3,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of an error, or null for one that nobody expected. */
export function exitCodeOf(error: unknown): ExitCode | null {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ArgumentError || error instanceof CheckpointError) return EXIT.usage;
  const isEnvironment = [BackendUnavailableError, BackendLostError, OutOfMemoryError].some(
    (type) => error instanceof type,
  );
  return isEnvironment || isSystemError(error) ? EXIT.environment : null;
}

/** Errors of the operating system, e.g. a full disk. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
