/** What the code generators of kernels share. */
import type { LaneMath } from "../math/index.ts";
import type { Team } from "../threads/index.ts";
import type { FunctionBuilder, ModuleBuilder } from "../wasm/index.ts";
import type { Layout } from "./layout.ts";

export interface KernelHost {
  readonly module: ModuleBuilder;
  readonly layout: Layout;
  readonly math: LaneMath;
  readonly relaxed: boolean;
  /** Who runs the kernel. */
  readonly team: Team;
}

/** Writes the body of a kernel's function. */
export type KernelBody = (f: FunctionBuilder) => void;
