/** The locals of one function: their slots, the scopes that free slots for reuse, and which may be read. */
import type { ByteWriter } from "./byte-writer.ts";
import { WasmBuildError } from "./error.ts";
import { Expr } from "./expression.ts";
import type { Op } from "./expression.ts";
import { encodeUnsigned } from "./leb128.ts";
import type { Local, LocalPlace } from "./place.ts";
import { valueTypeCodes } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

const localGet: Op = { name: "local.get", code: [0x20], feature: undefined, memory: false };

/** Engines refuse functions with more. */
const maxLocals = 50_000;

/** Slots are numbered in order of first use; one that a scope has freed goes to the next local of its type. */
export class LocalPool {
  private readonly owner: object;
  private readonly parameterCount: number;
  private readonly types: ValueType[] = [];
  private readonly free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  /** The locals of the innermost open scope. */
  private declared: Local[] = [];

  /** The parameters, which are set from the start and never freed. */
  readonly parameters: readonly Local[];

  /** @param owner the function builder */
  constructor(owner: object, parameters: readonly ValueType[]) {
    this.owner = owner;
    this.parameterCount = parameters.length;
    this.parameters = parameters.map((type) => {
      const local = this.declare(type);
      local.place.assigned = true;
      return local;
    });
  }

  /** @throws WasmBuildError if the function has too many locals for an engine */
  declare<T extends ValueType>(type: T): Local<T> {
    const index = this.free[type].pop() ?? this.types.push(type) - 1;
    if (index >= maxLocals) throw new WasmBuildError(`a function has at most ${maxLocals} locals`);
    const place: LocalPlace = { kind: "local", owner: this.owner, index, open: true, assigned: false };
    const local = new Expr(type, localGet, [], encodeUnsigned(index), place) as Local<T>;
    this.declared.push(local);
    return local;
  }

  /** Frees the locals that the body declares. */
  scope(body: () => void): void {
    const outer = this.declared;
    this.declared = [];
    body();
    const inner = this.declared;
    for (let i = inner.length - 1; i >= 0; i--) {
      const { type, place } = inner[i] as Local;
      place.open = false;
      this.free[type].push(place.index);
    }
    this.declared = outer;
  }

  /** @throws WasmBuildError if the local is another function's, or its scope has ended */
  check(place: LocalPlace): void {
    if (place.owner !== this.owner) throw new WasmBuildError(`local ${place.index} belongs to another function`);
    if (!place.open)
      throw new WasmBuildError(`local ${place.index} is used after the end of the scope it was declared in`);
  }

  /** Writes the declarations: runs of equal types, without the parameters. */
  write(out: ByteWriter): void {
    const runs: { type: ValueType; count: number }[] = [];
    let last: (typeof runs)[number] | undefined;
    for (let i = this.parameterCount; i < this.types.length; i++) {
      const type = this.types[i] as ValueType;
      if (last?.type === type) last.count++;
      else runs.push((last = { type, count: 1 }));
    }
    out.unsigned(runs.length);
    for (const { type, count } of runs) {
      out.unsigned(count);
      out.byte(valueTypeCodes[type]);
    }
  }
}
