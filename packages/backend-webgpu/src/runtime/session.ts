/** What the parts of one backend share: the device, its memory, and the order in which runs are encoded. */
import { BackendLostError, type BackendLostInfo, BanachError } from "@banach/autograd/backend";
import type { ShaderLimits } from "../codegen/shader-writer.ts";
import { Arena } from "./arena.ts";
import { Memory } from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { Staging } from "./staging.ts";

export class Session {
  readonly device: GPUDevice;
  readonly isOwn: boolean;
  readonly limits: ShaderLimits;
  readonly memory: Memory;
  readonly arena: Arena;
  readonly pipelines: Pipelines;
  readonly staging: Staging;
  readonly lost: Promise<BackendLostInfo>;
  private resolveLost: (info: BackendLostInfo) => void = () => undefined;
  /** Resolves when the run that is being encoded is on its way; null when none is. */
  private turn: Promise<unknown> | null = null;
  /** What went wrong with no promise to say it on; the next call that can reject does. */
  private stray: GPUError | null = null;

  /** The first of several counts: the others tend to follow from it. */
  private readonly onUncaptured = (event: GPUUncapturedErrorEvent): void => {
    this.stray ??= event.error;
    // It is said by a promise; the console need not say it as well.
    (event as unknown as { readonly preventDefault: () => void }).preventDefault();
  };

  /** @param isOwn whether nobody else uses the device */
  constructor(device: GPUDevice, isOwn: boolean, limits: ShaderLimits) {
    this.isOwn = isOwn;
    this.device = device;
    this.limits = limits;
    this.memory = new Memory(device);
    this.arena = new Arena(this.memory);
    this.pipelines = new Pipelines(device);
    this.staging = new Staging(this.memory);
    // On a device of the caller's they may be the caller's own, and are for the caller to hear.
    if (isOwn) device.addEventListener("uncapturederror", this.onUncaptured);
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
    this.device.removeEventListener("uncapturederror", this.onUncaptured);
    this.memory.lose(info.message);
    this.resolveLost(info);
  }

  /** Throws what the device reported since the last call, where no promise was there to be rejected with it. */
  requireSound(what: string): void {
    const { stray } = this;
    this.stray = null;
    if (stray !== null) throw this.memory.explain(stray, what, 0);
  }

  /**
   * Runs `work` at once, or after what was asked for before and waits for the device while it is encoded. Fails as
   * `requireSound` does.
   */
  inTurn<T>(work: () => T | Promise<T>): T | Promise<T> {
    const checked = (): T | Promise<T> => {
      this.requireSound("the device reported an error before this");
      return work();
    };
    const result = this.turn === null ? checked() : this.turn.then(checked);
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
    const why = error instanceof Error ? error.message : String(error);
    if (!this.memory.isLost) {
      return isOfDevice(error) ? new BanachError(`${what}: the device refused it: ${why}`, { cause: error }) : error;
    }
    return new BackendLostError(`${what}: the WebGPU device was lost while this was running (${why})`, {
      cause: error,
    });
  }
}

/** By name: the class is no global that the compiler is told of. */
const isOfDevice = (error: unknown): boolean => error instanceof Error && error.constructor.name === "DOMException";

/** Every platform that has WebGPU has timers, and the compiler is told of neither. */
function milliseconds(delay: number): Promise<void> {
  const { setTimeout } = globalThis as unknown as {
    readonly setTimeout: (done: () => void, delay: number) => unknown;
  };
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
  });
}
