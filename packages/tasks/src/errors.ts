/** The errors of this package besides those of autograd: each says what would have been right. */
import { ArgumentError } from "@banach/autograd";

/** A name that means nothing here, with the names that do. */
export class UnknownNameError extends ArgumentError {
  /** What was asked for: `group`, `task`, `backend`, ... */
  readonly kind: string;
  readonly given: string;
  readonly valid: readonly string[];

  constructor(kind: string, given: string, valid: readonly string[]) {
    super(`unknown ${kind} '${given}'; valid: ${valid.join(", ")}`);
    this.kind = kind;
    this.given = given;
    this.valid = valid;
  }
}

/** Options that do not go together. */
export class UsageError extends ArgumentError {}
