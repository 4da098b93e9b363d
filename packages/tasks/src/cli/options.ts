/** Values of options, read from text with a message that says what is expected. */
import { InvalidArgumentError } from "commander";

type Parser<T> = (text: string) => T;

function numberIn(text: string, accepts: (value: number) => boolean, expected: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || !accepts(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
  return value;
}

export const positiveInteger: Parser<number> = (text) =>
  numberIn(text, (value) => Number.isSafeInteger(value) && value > 0, "a positive integer");

export const integer: Parser<number> = (text) => numberIn(text, Number.isSafeInteger, "an integer");

export const positive: Parser<number> = (text) => numberIn(text, (value) => value > 0, "a positive number");

export const nonNegative: Parser<number> = (text) =>
  numberIn(text, (value) => value >= 0, "a number that is not negative");

/** In (0, 1]. */
export const share: Parser<number> = (text) =>
  numberIn(text, (value) => value > 0 && value <= 1, "a number above 0 and up to 1");

function path(text: string, kind: string): string {
  if (text === "") throw new InvalidArgumentError(`Expected the path of a ${kind}.`);
  return text;
}

/** The path of a folder. */
export const folder: Parser<string> = (text) => path(text, "folder");

/** The path of a file. */
export const file: Parser<string> = (text) => path(text, "file");

/** E.g. `16,32,48`. */
export const positiveIntegers: Parser<readonly number[]> = (text) =>
  text.split(",").map((item) => {
    try {
      return positiveInteger(item);
    } catch {
      throw new InvalidArgumentError("Expected positive integers with commas between them, such as 16,32,64.");
    }
  });
