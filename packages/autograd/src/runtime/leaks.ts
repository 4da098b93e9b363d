/** The leak report: which device arrays were dropped without dispose(). It only reports; it never frees. */
import { formatType, type TensorType } from "../ir/tensor-type.ts";
import type { DeviceArray } from "./device-array.ts";

export interface Leak {
  /** Type of the lost arrays, e.g. `float32[64,32]`. */
  readonly type: string;
  /** What made them. */
  readonly label: string;
  readonly count: number;
  readonly bytes: number;
}

interface Birth {
  readonly type: TensorType;
  readonly label: string;
  readonly bytes: number;
}

/** Watches arrays from birth to dispose() or donation, through a FinalizationRegistry. */
export class LeakTracker {
  private readonly lost = new Map<string, Leak>();
  private readonly registry = new FinalizationRegistry<Birth>((birth) => {
    this.record(birth);
  });

  watch(array: DeviceArray, label: string, bytes: number): void {
    this.registry.register(array, { type: array.type, label, bytes }, array);
  }

  forget(array: DeviceArray): void {
    this.registry.unregister(array);
  }

  /** Leaks found so far, the largest first. Empty until the garbage collector has run. */
  report(): readonly Leak[] {
    return [...this.lost.values()].sort((a, b) => b.bytes - a.bytes);
  }

  private record({ type, label, bytes }: Birth): void {
    const key = `${label} ${formatType(type)}`;
    const before = this.lost.get(key);
    this.lost.set(key, {
      type: formatType(type),
      label,
      count: (before?.count ?? 0) + 1,
      bytes: (before?.bytes ?? 0) + bytes,
    });
  }
}
