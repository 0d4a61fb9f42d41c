/** What stands at one place of a record, as it was written. */
export const token = {
  null: 0,
  false: 1,
  true: 2,
  number: 3,
  /** Text whose bytes are its value: no escapes. From..to without quotes. */
  string: 4,
  /** JSON string with escapes. From..to without quotes. */
  escaped: 5,
  /** CSV cell, quoted or not, whose bytes are its value. */
  cell: 6,
  /** CSV cell with doubled quotes. From..to without the outer quotes. */
  quotedCell: 7,
  array: 8,
  /** Object whose fields follow as entries of their own. */
  object: 9,
  /** Object below the flattening limit: taken as a whole. */
  deepObject: 10,
} as const;

export type Token = (typeof token)[keyof typeof token];

const initialEntries = 256;

/**
 * The fields of one record, flat, in the order in which they stand in it: which path, what kind of
 * token, which bytes. Reused from record to record, so that reading one makes no garbage.
 */
export class RecordTape {
  count = 0;
  nodes = new Int32Array(initialEntries);
  tokens = new Uint8Array(initialEntries);
  starts = new Uint32Array(initialEntries);
  ends = new Uint32Array(initialEntries);

  /** Appends an entry and returns its index. */
  push(node: number, kind: Token, start: number, end: number): number {
    const at = this.count;
    if (at === this.nodes.length) this.#grow();
    this.nodes[at] = node;
    this.tokens[at] = kind;
    this.starts[at] = start;
    this.ends[at] = end;
    this.count = at + 1;
    return at;
  }

  #grow(): void {
    const size = this.nodes.length * 2;
    const [nodes, tokens] = [new Int32Array(size), new Uint8Array(size)];
    const [starts, ends] = [new Uint32Array(size), new Uint32Array(size)];
    nodes.set(this.nodes);
    tokens.set(this.tokens);
    starts.set(this.starts);
    ends.set(this.ends);
    Object.assign(this, { nodes, tokens, starts, ends });
  }
}
