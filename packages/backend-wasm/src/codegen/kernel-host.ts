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

/** A kernel as code. */
export interface KernelBody {
  /** Writes the body of the kernel's function. */
  readonly write: (f: FunctionBuilder) => void;
  /** Whether every thread of the team does a part; otherwise whoever runs it does all. */
  readonly shared: boolean;
}
