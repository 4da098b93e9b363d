/** The error of the writer: a module that would not validate, found while it is written. */

/** Thrown where a module is written wrongly; the message names the instruction or the item, and what was expected. */
export class WasmBuildError extends Error {
  override readonly name = "WasmBuildError";
}
