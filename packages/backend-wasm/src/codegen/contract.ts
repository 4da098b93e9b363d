/** Contractions: the kernels of `contract/`, told where this program keeps things and how results are finished. */
import type { Access, ContractKernel, ProgramBuffer } from "@banach/autograd/backend";
import { type ContractHost, type EmittedContract, emitContract } from "../contract/index.ts";
import { type Expr, f32x4, type FunctionBuilder, i32, i32x4 } from "../wasm/index.ts";
import { LaneEmitter, type Locator } from "./emitter.ts";
import type { KernelHost } from "./kernel-host.ts";
import { elementBytes } from "./layout.ts";

export function contractFunction(kernel: ContractKernel, name: string, host: KernelHost): EmittedContract {
  const { layout, math } = host;
  const scratch = layout.scratch();
  const axis = kernel.shape.length - 1;
  const finish = (
    f: FunctionBuilder,
    point: readonly Expr<"i32">[],
    accumulated: Expr<"v128">,
    lanes: number,
  ): void => {
    f.scope(() => {
      const locator = atPoint(host, point);
      if (lanes === 4) new LaneEmitter(f, { locator, math, axis, lanes, accumulated }).storeAll(kernel.stores);
      else {
        for (let lane = 0; lane < lanes; lane++) {
          const one = { locator: atPoint(host, shifted(point, lane)), math, axis, lanes: 1 };
          f.scope(() => {
            const single = f.let(f32x4.splat(f32x4.extract_lane(accumulated, lane)));
            new LaneEmitter(f, { ...one, accumulated: single }).storeAll(kernel.stores);
          });
        }
      }
    });
  };
  const contract: ContractHost = {
    module: host.module,
    name,
    relaxed: host.relaxed,
    team: host.team,
    address: (_f, read) => layout.start(read.buffer, read.access),
    scratch: (bytes) => {
      const address = scratch(bytes);
      return () => address;
    },
    storeLanes: (f, point, accumulated, lanes) => {
      finish(f, point, f.let(accumulated), lanes);
    },
    storeScalar: (f, point, accumulated) => {
      const lanes = accumulated.type === "f32" ? f32x4.splat(accumulated) : i32x4.splat(accumulated);
      finish(f, point, f.let(lanes), 1);
    },
  };
  return emitContract(kernel, contract);
}

function shifted(point: readonly Expr<"i32">[], lane: number): readonly Expr<"i32">[] {
  return point.map((index, axis) => (lane > 0 && axis === point.length - 1 ? i32.add(index, lane) : index));
}

/** Addresses from indices: one product per axis along which an access moves. */
function atPoint({ layout }: KernelHost, point: readonly Expr<"i32">[]): Locator {
  const move = (start: Expr<"i32">, access: Access, unit: number): Expr<"i32"> =>
    point.reduce((address, index, axis) => {
      const stride = (access.strides[axis] ?? 0) * unit;
      return stride === 0 ? address : i32.add(address, i32.mul(index, stride));
    }, start);
  return {
    address: (buffer: ProgramBuffer, access) => ({
      pointer: move(layout.start(buffer, access), access, elementBytes(buffer)),
      offset: 0,
    }),
    index: (access) => move(layout.startIndex(access), access, 1),
  };
}
