/** Running this process anew with a flag of Node: the same arguments, streams, signals and exit code. */
import { spawn } from "node:child_process";
import { constants } from "node:os";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The exit code of the other process; null if this one has the flag already, or Node is not of the version that has it. */
export function restartWith(flag: string, nodeMajor: number): Promise<number> | null {
  if (isRestarted(flag) || Number.parseInt(process.versions.node) !== nodeMajor) return null;
  const child = spawn(process.execPath, [...process.execArgv, flag, ...process.argv.slice(1)], {
    // Over the channel the child learns that this process was killed, however that was done.
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  // A terminal sends Ctrl-C to both; the child takes two within an instant for one.
  const handlers = FORWARDED.map((signal) => [signal, () => child.kill(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      for (const [name, handler] of handlers) process.off(name, handler);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** In a process that was started so, ends it when the one that started it is gone. */
export function endWithParent(flag: string, exitCode: number): void {
  if (!isRestarted(flag) || process.channel === undefined) return;
  process.once("disconnect", () => process.exit(exitCode));
  process.channel.unref();
}

function isRestarted(flag: string): boolean {
  return process.execArgv.includes(flag);
}
