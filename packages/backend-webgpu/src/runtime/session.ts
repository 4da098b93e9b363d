/** What the parts of one backend share: the device, its memory, and the order in which runs are encoded. */
import { BackendLostError, type BackendLostInfo, BanachError } from "@banach/autograd/backend";
import type { ShaderLimits } from "../codegen/shader-writer.ts";
import { Arena } from "./arena.ts";
import { Memory } from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { Staging } from "./staging.ts";

export class Session {
  readonly device: GPUDevice;
  readonly limits: ShaderLimits;
  readonly memory: Memory;
  readonly arena: Arena;
  readonly pipelines: Pipelines;
  readonly staging: Staging;
  readonly lost: Promise<BackendLostInfo>;
  private resolveLost: (info: BackendLostInfo) => void = () => undefined;
  /** Resolves when the run that is being encoded is on its way; null when none is. */
  private turn: Promise<unknown> | null = null;

  constructor(device: GPUDevice, limits: ShaderLimits) {
    this.device = device;
    this.limits = limits;
    this.memory = new Memory(device);
    this.arena = new Arena(this.memory);
    this.pipelines = new Pipelines(device);
    this.staging = new Staging(device);
    this.lost = new Promise((resolve) => {
      this.resolveLost = resolve;
    });
    void device.lost.then(({ reason, message }) => {
      this.lose({
        reason: reason === "destroyed" ? "destroyed" : "unknown",
        message: `the WebGPU device was lost${message === "" ? "" : `: ${message}`}; open a new backend and restore from the host`,
      });
    });
  }

  /** The first reason counts. */
  lose(info: BackendLostInfo): void {
    this.memory.lose(info.message);
    this.resolveLost(info);
  }

  /** Runs `work` at once, or after what was asked for before and waits for the device while it is encoded. */
  inTurn<T>(work: () => T | Promise<T>): T | Promise<T> {
    const result = this.turn === null ? work() : this.turn.then(work);
    if (result instanceof Promise) {
      const ended = result.then(
        () => undefined,
        () => undefined,
      );
      this.turn = ended;
      void ended.then(() => {
        if (this.turn === ended) this.turn = null;
      });
    }
    return result;
  }

  /** An error as callers know it: what fails because the device is gone is a BackendLostError. */
  async explained(error: unknown, what: string): Promise<unknown> {
    if (error instanceof BanachError) return error;
    // The loss may be told after what it makes fail.
    await Promise.race([this.device.lost, milliseconds(100)]);
    if (!this.memory.isLost) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new BackendLostError(`${what}: the WebGPU device was lost while this was running (${why})`, {
      cause: error,
    });
  }
}

/** Every platform that has WebGPU has timers, and the compiler is told of neither. */
function milliseconds(delay: number): Promise<void> {
  const { setTimeout } = globalThis as unknown as {
    readonly setTimeout: (done: () => void, delay: number) => unknown;
  };
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
  });
}
