/** The typed errors of the framework: each names the culprit and, where there is one, the remedy. */

/** Base of every error thrown on purpose by a Banach package. */
export class BanachError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Shapes, ranks or axes do not fit an operation. */
export class ShapeError extends BanachError {}

/** An element type does not fit an operation, or two cannot be promoted to one. */
export class DTypeError extends BanachError {}

/** A value was used outside the traced function that made it, or an operation was called outside any trace. */
export class TraceError extends BanachError {}

/** A gradient was asked for through something that has none. */
export class NotDifferentiableError extends BanachError {}

/** A graph, or its text, breaks a rule of the intermediate representation. */
export class GraphError extends BanachError {}

/** Arguments of a tree-valued function do not have the structure they must have. */
export class TreeError extends BanachError {}

/** A device array or buffer was used after `dispose()`. */
export class DisposedBufferError extends BanachError {}

/** A device array or buffer was used after it was donated to a computation. */
export class DonatedBufferError extends BanachError {}

/** A backend cannot start here; the message says what was tried. */
export class BackendUnavailableError extends BanachError {}

/** The device went away while work was pending. */
export class BackendLostError extends BanachError {}

/** A backend ran out of memory; nothing was overwritten. */
export class OutOfMemoryError extends BanachError {
  /** Bytes asked for. */
  readonly requested: number;
  /** Bytes the backend may hold. */
  readonly limit: number;
  /** Bytes in live buffers at the time. */
  readonly live: number;

  constructor(message: string, bytes: { readonly requested: number; readonly limit: number; readonly live: number }) {
    super(`${message} (requested ${bytes.requested} bytes, live ${bytes.live}, limit ${bytes.limit})`);
    this.requested = bytes.requested;
    this.limit = bytes.limit;
    this.live = bytes.live;
  }
}

/** A NaN or an infinity where finite numbers are required. */
export class NonFiniteError extends BanachError {}

/** A fixed-point iteration ended without meeting its tolerance. */
export class NotConvergedError extends BanachError {}

/** A checkpoint or run folder is unreadable, incomplete or does not fit the model. */
export class CheckpointError extends BanachError {}

/** An option or argument has a value outside its domain. */
export class ArgumentError extends BanachError {}
