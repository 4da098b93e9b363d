/** Checked copies of host data on the way in. */
import { DTypeError, ShapeError } from "../errors.ts";
import { allocateHost, formatType, type HostArray, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { roundAllToHalf } from "../ir/half.ts";

/** Throws DTypeError or ShapeError unless the array is of the kind and length that the type asks for. */
export function requireHost(what: string, data: HostArray, type: TensorType): void {
  const size = sizeOf(type.shape);
  const wanted = allocateHost(type.dtype, 0).constructor.name;
  if (data.constructor.name !== wanted) {
    throw new DTypeError(`${what}: ${formatType(type)} is held in a ${wanted}, got a ${data.constructor.name}`);
  }
  if (data.length !== size) {
    throw new ShapeError(`${what}: ${formatType(type)} has ${size} elements, got ${data.length}`);
  }
}

/** A copy as the type stores it: float16 rounded, bool 0 or 1. */
export function copyHost(data: HostArray, type: TensorType): HostArray {
  const copy = data.slice();
  if (type.dtype === "float16") roundAllToHalf(copy);
  if (type.dtype === "bool") copy.forEach((v, i) => (copy[i] = v === 0 ? 0 : 1));
  return copy;
}
