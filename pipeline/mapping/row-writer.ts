import { fromFieldPath, shortPath, toFieldPath, type FieldPath } from '../../core/field-types.ts';
import { extraColumn, type Mapping } from '../../core/mapping.ts';
import { hasUnstorableEscape } from '../../formats/json/escapes.ts';
import { type PathTree, rootNode } from '../../formats/path-tree.ts';
import { type RecordTape, token } from '../../formats/record-tape.ts';
import type { MapTarget } from './block-output.ts';
import { CellEncoder, toJson, type TokenBytes } from './cell-encoder.ts';
import { classifyCell, observed } from './classify.ts';
import { describeMisfit, writing, writingsOf, type Misfit } from './coerce.ts';
import { OutputBuffer } from './output-buffer.ts';

/** Why a record became no row. */
export type RowFailure = Pick<Misfit, 'kind' | 'message'> &
  Partial<Misfit> & { readonly field: FieldPath };

export interface RowRecord {
  readonly bytes: Uint8Array;
  readonly tape: RecordTape;
  readonly codes: Uint8Array;
  readonly eventId: string;
  /** See `versionOf`; written to `merge` tables. */
  readonly version: string;
}

type RowTarget = Pick<MapTarget, 'encoding' | 'batchId' | 'partial'>;

const unknown = -3;
const covered = -2;
const unmapped = -1;

/** Writes the rows of one stream for one destination, under one mapping version. */
export class RowWriter {
  readonly #mapping: Mapping;
  readonly #partial: boolean;
  readonly #tree: PathTree;
  readonly #cells: CellEncoder;
  readonly #out = new OutputBuffer();
  readonly #separator: Uint8Array;
  readonly #terminator: Uint8Array;
  readonly #nullCell: Uint8Array;
  readonly #batchCell: Uint8Array;
  readonly #writings: readonly Uint8Array[];
  readonly #byPath: ReadonlyMap<FieldPath, number>;
  readonly #parents = new Set<FieldPath>();
  readonly #entryOf: Int32Array;
  readonly #required: readonly FieldPath[];
  #columnOf = new Int32Array(64).fill(unknown);
  #extras: number[] = [];

  constructor(mapping: Mapping, tree: PathTree, { encoding, batchId, partial }: RowTarget) {
    const encode = (text: string) => new TextEncoder().encode(text);
    this.#mapping = mapping;
    this.#partial = partial ?? false;
    this.#tree = tree;
    this.#cells = new CellEncoder(encoding);
    this.#separator = encode(encoding.separator);
    this.#terminator = encode(encoding.terminator);
    this.#nullCell = encode(encoding.nullCell);
    this.#batchCell = encode(encoding.escape(batchId));
    this.#writings = mapping.columns.map(({ type }) => writingsOf[type]);
    this.#byPath = new Map(mapping.columns.map(({ path }, at) => [path, at]));
    this.#entryOf = new Int32Array(mapping.columns.length);
    this.#required = requiredFields(mapping);
    for (const { path } of mapping.columns) {
      for (const ancestor of ancestorsOf(path)) this.#parents.add(ancestor);
    }
  }

  /** Appends the record as a row; or nothing, and says why. */
  write(record: RowRecord): RowFailure | null {
    const failure = this.#place(record);
    if (failure) return failure;
    const start = this.#out.length;
    const unstorable = this.#writeRow(record);
    if (unstorable) this.#out.length = start;
    return unstorable;
  }

  /** The rows written since the last call. */
  take(): Uint8Array {
    return this.#out.take();
  }

  /** Finds the column of every field; the first that fits nowhere is the reason to fail. */
  #place({ bytes, tape, codes }: RowRecord): RowFailure | null {
    this.#entryOf.fill(-1);
    this.#extras = [];
    for (let at = 0; at < tape.count; at += 1) {
      const code = codes[at] as number;
      if (code === observed.null) continue;
      const node = tape.nodes[at] as number;
      const column = this.#column(node);
      if (column >= 0) {
        const failure = this.#fit({ bytes, tape, at, code, column });
        if (failure) return failure;
      } else if (column === unmapped && code !== observed.object && !this.#partial) {
        if (!this.#mapping.extra) return unmappedField(this.#tree.pathOf(node));
        this.#extras.push(at);
      }
    }
    return this.#missing();
  }

  #missing(): RowFailure | null {
    for (const path of this.#required) {
      const column = this.#byPath.get(path);
      if (column === undefined || this.#entryOf[column] === -1) return missingField(path);
    }
    return null;
  }

  #fit(place: {
    bytes: Uint8Array;
    tape: RecordTape;
    at: number;
    code: number;
    column: number;
  }): RowFailure | null {
    const { column, at, code } = place;
    const mapped = this.#mapping.columns[column];
    if (!mapped) return null;
    const { path, type, by } = mapped;
    if (code === observed.object && this.#parents.has(path)) return null;
    const seen = by === 'person' ? readAsOrdered(place) : code;
    if ((this.#writings[column]?.[seen] ?? 0) <= writing.outOfRange) {
      return { ...describeMisfit(path, type, seen), field: path };
    }
    this.#entryOf[column] = at;
    return null;
  }

  #writeRow(record: RowRecord): RowFailure | null {
    const out = this.#out;
    this.#cells.writeEscaped(out, record.eventId);
    out.append(this.#separator);
    out.append(this.#batchCell);
    if (this.#mapping.merge) {
      out.append(this.#separator);
      this.#cells.writeEscaped(out, record.version);
    }
    for (let column = 0; column < this.#entryOf.length; column += 1) {
      out.append(this.#separator);
      const entry = this.#entryOf[column] as number;
      if (entry < 0) out.append(this.#nullCell);
      else if (!this.#writeCell(record, entry, column)) {
        return unstorable(this.#mapping.columns[column]?.path ?? '');
      }
    }
    if (this.#mapping.extra) {
      out.append(this.#separator);
      if (!this.#writeExtra(record)) return unstorable(this.#unstorableExtra(record));
    }
    out.append(this.#terminator);
    return null;
  }

  #writeCell({ bytes, tape, codes }: RowRecord, at: number, column: number): boolean {
    const value = tokenAt(bytes, tape, at);
    const person = this.#mapping.columns[column]?.by === 'person';
    const seen = person
      ? readAsOrdered({ bytes, tape, at, code: codes[at] as number })
      : (codes[at] as number);
    return this.#cells.write(this.#out, this.#writings[column]?.[seen] ?? writing.text, value);
  }

  /** Fields beyond the width limit, as one JSON object by path. */
  #writeExtra({ bytes, tape }: RowRecord): boolean {
    if (this.#extras.length === 0) {
      this.#out.append(this.#nullCell);
      return true;
    }
    const fields = this.#extras.map((at) => {
      const path = this.#tree.pathOf(tape.nodes[at] as number);
      return `${JSON.stringify(path)}:${toJson(tokenAt(bytes, tape, at))}`;
    });
    const json = new TextEncoder().encode(`{${fields.join(',')}}`);
    const value = { bytes: json, kind: token.deepObject, start: 0, end: json.length };
    return this.#cells.write(this.#out, writing.json, value);
  }

  #unstorableExtra({ bytes, tape }: RowRecord): FieldPath {
    const at = this.#extras.find((entry) =>
      hasUnstorableEscape(toJson(tokenAt(bytes, tape, entry))),
    );
    return at === undefined ? extraColumn : this.#tree.pathOf(tape.nodes[at] as number);
  }

  #column(node: number): number {
    if (node >= this.#columnOf.length) this.#grow(node);
    const known = this.#columnOf[node] as number;
    if (known !== unknown) return known;
    const column = this.#resolve(node);
    if (node < keptNodes) this.#columnOf[node] = column;
    return column;
  }

  #resolve(node: number): number {
    const column = this.#byPath.get(this.#tree.pathOf(node));
    if (column !== undefined) return column;
    for (let at = this.#tree.parentOf(node); at > rootNode; at = this.#tree.parentOf(at)) {
      const path = this.#tree.pathOf(at);
      if (this.#byPath.has(path) && !this.#parents.has(path)) return covered;
    }
    return unmapped;
  }

  #grow(node: number): void {
    const grown = new Int32Array(Math.max(node + 1, this.#columnOf.length * 2)).fill(unknown);
    grown.set(this.#columnOf);
    this.#columnOf = grown;
  }
}

/** Nodes beyond change their meaning from record to record; see `PathTree`. */
const keptNodes = 8_192;

function tokenAt(bytes: Uint8Array, tape: RecordTape, at: number): TokenBytes {
  return {
    bytes,
    kind: tape.tokens[at] as number,
    start: tape.starts[at] as number,
    end: tape.ends[at] as number,
  };
}

/** Where a person chose the type, a string may be read as a number or a boolean. */
function readAsOrdered(place: {
  bytes: Uint8Array;
  tape: RecordTape;
  at: number;
  code: number;
}): number {
  const { bytes, tape, at, code } = place;
  if (tape.tokens[at] !== token.string) return code;
  return classifyCell(bytes, tape.starts[at] as number, tape.ends[at] as number);
}

function ancestorsOf(path: FieldPath): readonly FieldPath[] {
  const segments = fromFieldPath(path);
  return segments.slice(1).map((_, at) => toFieldPath(segments.slice(0, at + 1)));
}

function requiredFields({ merge }: Mapping): readonly FieldPath[] {
  if (!merge) return [];
  return merge.version === undefined ? merge.key : [...merge.key, merge.version];
}

function missingField(field: FieldPath): RowFailure {
  return {
    kind: 'missing-required',
    field,
    message: `${shortPath(field)}: rows are merged by it, and the event has none`,
  };
}

function unmappedField(field: FieldPath): RowFailure {
  return {
    kind: 'unmapped-field',
    field,
    message: `${shortPath(field)}: no column is mapped to it`,
  };
}

function unstorable(field: FieldPath): RowFailure {
  return {
    kind: 'unrepresentable',
    field,
    message: `${shortPath(field)}: holds NUL or half a surrogate pair, which the destination cannot store`,
  };
}
