/** The `banach` command: its sub-commands and options, and the exit code that each end means. */
import { Command, Option } from "commander";
import { addBackendOptions } from "./backends.ts";
import { doctorCommand } from "./doctor-command.ts";
import { evalCommand, MAX_STEPS_DEFAULT } from "./eval-command.ts";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.ts";
import { exportCommand } from "./export-command.ts";
import type { Io } from "./io.ts";
import { file, folder, integer, nonNegative, positiveInteger, positiveIntegers } from "./options.ts";
import { NAMINGS, SOLVERS } from "../run/index.ts";
import { startCommand } from "./start-command.ts";
import { trainCommand } from "./train-command.ts";
import { addTrainOptions, CHUNK_HELP } from "./train-options.ts";
import { addWeightsOptions } from "./weights-options.ts";

const EXIT_CODES =
  "Exit codes: 0 done, 1 a target was missed or a check failed, 2 unknown option or value or an unusable folder, 3 this machine, 130 interrupted.";

/** Runs the command with arguments (without the program's name) and returns its exit code. Never throws. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.ok;
  const program = buildProgram(io, async (run) => {
    code = await run();
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    return reportError(error, argv, io);
  }
}

type Runner = (run: () => Promise<number>) => Promise<void>;

function buildProgram(io: Io, runner: Runner): Command {
  const program = new Command("banach")
    .description("Trains and evaluates fixed-point recurrent networks.")
    .addHelpText("after", `\n${EXIT_CODES}`);
  prepare(program, io);

  const start = program
    .command("start")
    .description("train a first model, and show what was learnt: the word problem of A5, in minutes");
  prepare(start, io)
    .option("--quick", "parity instead, which takes seconds")
    .option("--out <folder>", "folder of the run (default: runs/ and the time)", folder)
    .option("--seed <n>", "of all random numbers", integer, 0)
    .option("--json", "write results as JSON lines")
    .action(() => runner(() => startCommand(io, start)));
  addBackendOptions(start, "the first that starts of wasm, reference");

  const train = program.command("train").description("train a model on a task, or go on with a run");
  addTrainOptions(prepare(train, io)).action(() => runner(() => trainCommand(io, train)));
  addWeightsOptions(train, "--init <file>", "start a new run from the weights in a safetensors file");

  const evaluation = program.command("eval").description("accuracy by length of a run that was trained before");
  prepare(evaluation, io)
    .argument("<folder>", "folder of the run", folder)
    .option("--lengths <list>", "lengths (default: 1, 2, 3, 4 times the trained one)", positiveIntegers)
    .addOption(
      new Option(
        "--solver <name>",
        "this solver alone; by default that of training and a second one, picard or sequential",
      ).choices(SOLVERS),
    )
    .option("--chunk <n>", CHUNK_HELP, positiveInteger)
    .option("--tol <tolerance>", "another tolerance; by default that of training and a tenth of it", nonNegative)
    .option("--max-steps <n>", `iterations of the solver, at most (default: ${MAX_STEPS_DEFAULT})`, positiveInteger)
    .option("--batch <n>", "sequences per batch", positiveInteger, 128)
    .option("--batches <n>", "batches per length", positiveInteger, 2)
    .option("--json", "write results as JSON lines")
    .action((folder: string) => runner(() => evalCommand(io, folder, evaluation)));
  addBackendOptions(evaluation, "as in training");
  addWeightsOptions(
    evaluation,
    "--weights <file>",
    "evaluate the weights in a safetensors file, in place of the run's",
  );

  const exporting = program.command("export").description("write the weights of a run to a safetensors file");
  prepare(exporting, io)
    .argument("<folder>", "folder of the run", folder)
    .argument("<file>", "file to write", file)
    .addOption(
      new Option(
        "--names <naming>",
        "names: plain, those of Banach, or mamba-ssm, those of the authors' PyTorch models",
      )
        .choices(NAMINGS)
        .default(NAMINGS[0]),
    )
    .option("--force", "replace the file if it is there")
    .option("--json", "write the result as a JSON line")
    .action((folder: string, file: string) => runner(() => exportCommand(io, folder, file, exporting)));

  const doctor = program
    .command("doctor")
    .description("what this machine offers, which backends start, and which is used");
  prepare(doctor, io)
    .option("--json", "write the findings as a JSON line")
    .action(() => runner(() => doctorCommand(io, doctor)));
  addBackendOptions(doctor, "the first that starts of wasm, reference");
  return program;
}

/** Makes a command throw instead of ending the process, and list what is valid when an option or a command is not. */
function prepare(command: Command, io: Io): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => {
        const valid = validFor(command, text);
        write(valid === null ? text : `${text.trimEnd()}\nvalid: ${valid}\n`);
      },
    });
}

function validFor(command: Command, message: string): string | null {
  const commands = command.commands.map((sub) => sub.name()).join(", ");
  if (message.includes("unknown option")) {
    const options = [...command.options.flatMap(({ long }) => long ?? []), "--help"].join(", ");
    return command.commands.length === 0 ? options : `${options}; options of their own have ${commands}`;
  }
  if (message.includes("unknown command")) return commands;
  return null;
}

function reportError(error: unknown, argv: readonly string[], io: Io): ExitCode {
  const code = exitCodeOf(error);
  if (code === EXIT.ok) return code;
  const message = error instanceof Error ? error.message : String(error);
  if (argv.includes("--json")) {
    io.stdout.write(`${JSON.stringify({ type: "error", message, exitCode: code ?? EXIT.environment })}\n`);
  }
  if (error instanceof Error && error.name === "CommanderError") return code ?? EXIT.usage;
  if (code !== null) {
    io.stderr.write(`error: ${message}\n`);
    return code;
  }
  const trace = error instanceof Error ? (error.stack ?? message) : message;
  io.stderr.write(`error, which was not foreseen; please report it:\n${trace}\n`);
  return EXIT.environment;
}
