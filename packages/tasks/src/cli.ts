#!/usr/bin/env node
/** The entry of the `banach` command: gives the process's streams and signals to `main`. */
import { basename, relative } from "node:path";
import { RELAXED_FLAG } from "./cli/backends.ts";
import { EXIT } from "./cli/exit-codes.ts";
import { main } from "./cli/main.ts";
import { endWithParent, restartWith } from "./cli/restart.ts";

const [, script = "banach"] = process.argv;

// A reader that has gone away, such as `head`, is no reason for a stack trace.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

endWithParent(RELAXED_FLAG, EXIT.interrupted);

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  command: basename(script).startsWith("banach") ? "banach" : `node ${relative(process.cwd(), script)}`,
  onInterrupt: (handler) => {
    process.on("SIGINT", handler).on("SIGTERM", handler);
    return () => process.off("SIGINT", handler).off("SIGTERM", handler);
  },
  exit: (code) => process.exit(code),
  // Later versions of Node have relaxed SIMD without the flag, and do not know it.
  restart: (flag) => restartWith(flag, 20),
});
