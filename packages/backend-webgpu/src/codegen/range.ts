/** The numbers from 0 on. */
export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
