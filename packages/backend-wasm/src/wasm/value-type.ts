/** The types of WebAssembly values, and their binary codes. */

/** Binary codes of the value types. */
export const valueTypeCodes = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

export type ValueType = keyof typeof valueTypeCodes;

/** A list of value types: the parameters or the results of a function. */
export type ValueTypes = readonly ValueType[];

export const isValueType = (text: string): text is ValueType => Object.hasOwn(valueTypeCodes, text);
