/** Reads the text of a graph back, so that a failing program can be kept, sent and replayed. */
import { BanachError, GraphError } from "../errors.ts";
import { type Atom, type Equation, type Graph, literal, Var } from "./graph.ts";
import { requireParams } from "./params.ts";
import { isPrimitive, type PrimitiveName } from "./primitives.ts";
import type { ParamValue } from "./print.ts";
import { isDType, tensorType, type TensorType } from "./tensor-type.ts";
import { verify } from "./verify.ts";

const TOKEN = /\s*(%\d+|-?(?:Infinity|NaN|\d+(?:\.\d+)?(?:e[+-]?\d+)?)|[A-Za-z_]\w*|[()[\]{}:,=])/y;

const SPACE = /\s*/y;

/** Graphs and lists may be nested so deep; programs need a handful of levels, and each takes some of the call stack. */
const MAX_DEPTH = 64;

/** Parses and verifies. Throws GraphError with the position of the first thing that does not fit. */
export function parseGraph(text: string): Graph {
  const reader = new Reader(text);
  const graph = reader.graph();
  reader.end();
  verify(graph);
  return graph;
}

class Reader {
  private readonly text: string;
  private position = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  graph(): Graph {
    return this.nested(() => this.graphBody());
  }

  private graphBody(): Graph {
    const names = new Map<string, Var>();
    this.expect("graph");
    const inputs = this.list("(", ")", () => this.definition(names));
    const equations: Equation[] = [];
    this.expect("{");
    while (this.peek() !== "return") equations.push(this.equation(names));
    this.expect("return");
    const outputs = this.list("(", ")", () => this.atom(names));
    this.expect("}");
    return { inputs, equations, outputs };
  }

  end(): void {
    if (this.text.slice(this.position).trim() !== "") this.fail("the end of the text");
  }

  private equation(names: Map<string, Var>): Equation {
    const targets: (readonly [string, TensorType])[] = [];
    while (this.peek() !== "=") {
      if (targets.length > 0) this.expect(",");
      targets.push(this.target());
    }
    this.expect("=");
    const primitive = this.primitive();
    const params = this.peek() === "{" ? this.params() : new Map<string, ParamValue>();
    requireParams(primitive, params);
    const inputs = this.list("(", ")", () => this.atom(names));
    const outputs = targets.map(([name, type]) => this.define(names, name, type));
    // requireParams has checked the kinds; verify() checks the values against the inference rule.
    return { primitive, params: Object.fromEntries(params), inputs, outputs } as unknown as Equation;
  }

  private primitive(): PrimitiveName {
    const at = this.start();
    const name = this.next();
    if (isPrimitive(name)) return name;
    throw new GraphError(`graph text at ${at}: no primitive is called '${name}'`);
  }

  private params(): Map<string, ParamValue> {
    const params = new Map<string, ParamValue>();
    this.list("{", "}", () => {
      const at = this.start();
      const key = this.next();
      if (params.has(key)) throw new GraphError(`graph text at ${at}: parameter '${key}' is given twice`);
      this.expect("=");
      params.set(key, this.value());
    });
    return params;
  }

  private value(): ParamValue {
    const token = this.peek();
    if (token === "[") return this.nested(() => this.list("[", "]", () => this.value()));
    if (token === "graph") return this.graph();
    if (token === "true" || token === "false") return this.next() === "true";
    if (/^[-\d]/.test(token)) return Number(this.next());
    const word = this.next();
    if (isDType(word) && this.peek() === "[") return this.shaped(word);
    return word;
  }

  private target(): readonly [string, TensorType] {
    const name = this.next();
    if (!name.startsWith("%")) this.fail("a value such as %0");
    this.expect(":");
    return [name, this.type()];
  }

  private definition(names: Map<string, Var>): Var {
    const [name, type] = this.target();
    return this.define(names, name, type);
  }

  private define(names: Map<string, Var>, name: string, type: TensorType): Var {
    if (names.has(name)) throw new GraphError(`graph text at ${this.position}: ${name} is assigned twice`);
    const v = new Var(type);
    names.set(name, v);
    return v;
  }

  private atom(names: Map<string, Var>): Atom {
    const at = this.start();
    const token = this.next();
    if (token.startsWith("%")) {
      const v = names.get(token);
      if (v === undefined) throw new GraphError(`graph text at ${at}: ${token} is used before it is assigned`);
      return v;
    }
    if (!isDType(token)) return this.fail("a value or a literal");
    this.expect("(");
    const text = this.peek();
    const value = Number(text);
    if (Number.isNaN(value) && text !== "NaN") return this.fail("a number");
    this.next();
    this.expect(")");
    return this.placed(at, () => literal(token, value));
  }

  private type(): TensorType {
    const dtype = this.next();
    if (!isDType(dtype)) return this.fail("a dtype");
    return this.shaped(dtype);
  }

  private shaped(dtype: TensorType["dtype"]): TensorType {
    const at = this.start();
    const shape = this.list("[", "]", () => this.size());
    return this.placed(at, () => tensorType(dtype, shape));
  }

  private size(): number {
    if (!/^-?\d/.test(this.peek())) return this.fail("a dimension");
    return Number(this.next());
  }

  /** Runs a check of the representation and says where in the text its error lies. */
  private placed<T>(at: number, check: () => T): T {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof BanachError)) throw error;
      throw new GraphError(`graph text at ${at}: ${error.message}`, { cause: error });
    }
  }

  private nested<T>(read: () => T): T {
    if (this.depth === MAX_DEPTH) {
      throw new GraphError(`graph text at ${this.start()}: nested deeper than ${MAX_DEPTH} levels`);
    }
    this.depth++;
    const result = read();
    this.depth--;
    return result;
  }

  private list<T>(open: string, close: string, item: () => T): T[] {
    const items: T[] = [];
    this.expect(open);
    while (this.peek() !== close) {
      if (items.length > 0) this.expect(",");
      items.push(item());
    }
    this.expect(close);
    return items;
  }

  private expect(token: string): void {
    if (this.peek() !== token) this.fail(`'${token}'`);
    this.next();
  }

  /** Where the next token begins. */
  private start(): number {
    SPACE.lastIndex = this.position;
    SPACE.test(this.text);
    return SPACE.lastIndex;
  }

  private peek(): string {
    TOKEN.lastIndex = this.position;
    return TOKEN.exec(this.text)?.[1] ?? "";
  }

  private next(): string {
    TOKEN.lastIndex = this.position;
    const match = TOKEN.exec(this.text);
    if (match?.[1] === undefined) return this.fail("a token");
    this.position = TOKEN.lastIndex;
    return match[1];
  }

  private fail(wanted: string): never {
    const found = this.text.slice(this.position, this.position + 24).trim() || "the end of the text";
    throw new GraphError(`graph text at ${this.position}: expected ${wanted}, found '${found}'`);
  }
}
