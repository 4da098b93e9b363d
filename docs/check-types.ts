/** Type-checks modules that exist only in memory, with the options of the workspace. */
import { join } from "node:path";
import ts from "typescript";
import { root } from "./run-markdown.ts";

function options(): ts.CompilerOptions {
  const file = join(root, "tsconfig.json");
  const { config } = ts.readConfigFile(file, (path) => ts.sys.readFile(path)) as { config: unknown };
  return { ...ts.parseJsonConfigFileContent(config, ts.sys, root).options, noEmit: true, incremental: false };
}

/**
 * Errors of the given files, one line each: `path(line): message`. The texts stand for the files at these absolute
 * paths, whether these exist or not; everything they import is read from disk, or from the texts.
 */
export function typeErrors(texts: ReadonlyMap<string, string>): string[] {
  const compilerOptions = options();
  const host = ts.createCompilerHost(compilerOptions);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path);
    return text === undefined
      ? getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...texts.keys()], compilerOptions, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, " ").replaceAll(/\s+/g, " ");
    if (file === undefined) return message;
    const line = file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
    return `${file.fileName.replace(root, "")}(${line}): ${message}`;
  });
}
