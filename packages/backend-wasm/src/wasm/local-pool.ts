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

interface OpenLocal {
  readonly type: ValueType;
  readonly place: LocalPlace;
}

/** Slots are numbered in order of first use; one that a scope has freed goes to the next local of its type. */
export class LocalPool {
  readonly #owner: object;
  readonly #parameters: number;
  readonly #types: ValueType[] = [];
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #scope: OpenLocal[] = [];

  /** The parameters, which are set from the start and never freed. */
  readonly parameters: readonly Local[];

  /** @param owner the function builder */
  constructor(owner: object, parameters: readonly ValueType[]) {
    this.#owner = owner;
    this.#parameters = parameters.length;
    this.parameters = parameters.map((type) => {
      const local = this.declare(type);
      local.place.assigned = true;
      return local;
    });
  }

  /** @throws WasmBuildError if the function has too many locals for an engine */
  declare<T extends ValueType>(type: T): Local<T> {
    const index = this.#free[type].pop() ?? this.#types.push(type) - 1;
    if (index >= maxLocals) throw new WasmBuildError(`a function has at most ${maxLocals} locals`);
    const place: LocalPlace = { kind: "local", owner: this.#owner, index, open: true, assigned: false };
    this.#scope.push({ type, place });
    return new Expr(type, localGet, [], encodeUnsigned(index), place) as Local<T>;
  }

  /** Frees the locals that the body declares. */
  scope(body: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    body();
    for (const { type, place } of this.#scope.reverse()) {
      place.open = false;
      this.#free[type].push(place.index);
    }
    this.#scope = outer;
  }

  /** @throws WasmBuildError if the local is another function's, or its scope has ended */
  check(place: LocalPlace): void {
    if (place.owner !== this.#owner) throw new WasmBuildError(`local ${place.index} belongs to another function`);
    if (!place.open)
      throw new WasmBuildError(`local ${place.index} is used after the end of the scope it was declared in`);
  }

  /** Writes the declarations: runs of equal types, without the parameters. */
  write(out: ByteWriter): void {
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#types.slice(this.#parameters)) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.unsigned(runs.length);
    for (const { type, count } of runs) {
      out.unsigned(count);
      out.byte(valueTypeCodes[type]);
    }
  }
}
