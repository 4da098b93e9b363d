/** Checks of options that types cannot make for callers in plain JavaScript. */
import { ArgumentError, formatType, ShapeError, type Tracer } from "@banach/autograd";

/** Throws ArgumentError, with the valid values, unless the value is one of them. */
export function requireOneOf<T>(what: string, value: T, valid: readonly T[]): void {
  if (!valid.includes(value)) {
    throw new ArgumentError(`${what} must be one of ${valid.map(String).join(", ")}; got ${String(value)}`);
  }
}

/** Throws ArgumentError unless the value is a positive integer. */
export function requirePositiveInteger(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(`${what} must be a positive integer, got ${value}`);
  }
}

/** Throws ArgumentError unless the value is a positive number. */
export function requirePositive(what: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value)))
    throw new ArgumentError(`${what} must be a positive number, got ${value}`);
}

/** Throws ShapeError, naming the value, unless it has the shape and dtype of what it continues. */
export function requireTensor(what: string, x: Tracer, shape: readonly number[], dtype: Tracer["dtype"]): void {
  if (x.dtype !== dtype || x.shape.length !== shape.length || x.shape.some((size, axis) => size !== shape[axis])) {
    throw new ShapeError(`${what} must be ${formatType({ dtype, shape })}, got ${formatType(x.type)}`);
  }
}
