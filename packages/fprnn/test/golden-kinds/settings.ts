/** Where fixtures are checked: one line per backend and precision. */
import type { Device } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { webgpu } from "@banach/backend-webgpu";
import type { Tolerances } from "../../src/index.ts";
import type { FloatType, Setting } from "./fixture.ts";

export interface Place {
  readonly name: string;
  readonly dtype: FloatType;
  readonly open: () => Promise<Device>;
}

export const PLACES: readonly Place[] = [
  { name: "reference", dtype: "float64", open: reference },
  { name: "reference-float32", dtype: "float32", open: reference },
  { name: "wasm", dtype: "float32", open: wasm },
  { name: "webgpu", dtype: "float32", open: webgpu },
];

/**
 * Tolerances so fine that what comes out is the fixed point. Rounding keeps float32 from any small residual, so there it
 * is a number of iterations: a map that contracts by 0.85 each time is then as near as float32 can tell.
 */
export const EXACT: Readonly<Record<FloatType, Tolerances>> = {
  float64: { tol: 1e-14, maxSteps: 2000 },
  float32: { tol: 0, maxSteps: 100 },
};

export function settingOn(device: Device, dtype: FloatType): Setting {
  return { device, dtype, exact: EXACT[dtype] };
}
