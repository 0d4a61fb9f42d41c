import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Reads the demo's files by means of its own, so that a fault in Millrace's readers cannot hide:
 * every value is the text that stands in the file, numbers digit for digit.
 */
export interface DemoTable {
  /** Schema and table in the warehouse. */
  readonly name: string;
  readonly records: readonly DemoRecord[];
}

/** Dotted path of a field → its text; null where the file has none. */
export type DemoRecord = ReadonlyMap<string, string | null>;

/** A line of `examples/readings.ndjson` that cannot be loaded, and why. */
export interface BadLine {
  readonly lineNumber: number;
  readonly kind: string;
  readonly raw: Buffer;
}

class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const readingsTable = 'sensors.readings';

export function readDemoTables(root: string): readonly DemoTable[] {
  const data = join(root, 'node_modules', 'vega-datasets', 'data');
  const text = (file: string) => readFileSync(join(data, file), 'utf8');
  const list = (file: string) => toRecords(parseJson(text(file)));
  const { features } = parseJson(text('earthquakes.json')) as { features: unknown };
  const { good } = readReadings(root);
  return [
    { name: 'files.airports', records: readCsv(text('airports.csv')) },
    { name: 'files.birdstrikes', records: readCsv(text('birdstrikes.csv')) },
    { name: 'files.earthquakes', records: toRecords(features) },
    { name: 'files.flights_200k', records: list('flights-200k.json') },
    { name: 'files.movies', records: list('movies.json') },
    { name: readingsTable, records: good },
  ];
}

/** The readings that must load, and those that must wait for review. */
export function readReadings(root: string): {
  readonly good: readonly DemoRecord[];
  readonly bad: readonly BadLine[];
} {
  const file = readFileSync(join(root, 'examples', 'readings.ndjson'), 'utf8');
  const good: DemoRecord[] = [];
  const bad: BadLine[] = [];
  for (const [at, line] of file.trimEnd().split('\n').entries()) {
    const kind = faultOf(line);
    if (kind === null) good.push(flatten(parseJson(line)));
    else bad.push({ lineNumber: at + 1, kind, raw: Buffer.from(line) });
  }
  return { good, bad };
}

function faultOf(line: string): string | null {
  if (line.split('"device":').length > 2) return 'invalid-json';
  let record: DemoRecord;
  try {
    record = flatten(parseJson(line));
  } catch {
    return 'invalid-json';
  }
  if ([...record.values()].some((text) => text?.includes('\0'))) return 'unrepresentable';
  if (!Number.isFinite(Number(record.get('humidity')))) return 'out-of-range';
  const isTyped =
    /^-?\d+(\.\d+)?$/.test(record.get('temperature') ?? '') &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(record.get('at') ?? '');
  return isTyped ? null : 'type-mismatch';
}

function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? new NumberText(context?.source ?? '') : value,
  );
}

function toRecords(values: unknown): readonly DemoRecord[] {
  return (values as readonly unknown[]).map((value) => flatten(value));
}

function flatten(value: unknown, path = '', into = new Map<string, string | null>()) {
  if (typeof value !== 'object' || value === null || isLeaf(value)) {
    into.set(path, value === null ? null : toText(value));
    return into;
  }
  for (const [key, item] of Object.entries(value)) {
    flatten(item, path === '' ? key : `${path}.${key}`, into);
  }
  return into;
}

const isLeaf = (value: object): boolean => value instanceof NumberText || Array.isArray(value);

function toText(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** One text for equal documents, however they are spaced; numbers keep their digits. */
export function canonicalJson(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

export function canonicalJsonText(text: string): string {
  return canonicalJson(parseJson(text));
}

function readCsv(text: string): readonly DemoRecord[] {
  const [header = [], ...rows] = splitCsv(text);
  return rows.map((row) => new Map(header.map((name, at) => [name, row[at] || null])));
}

/** RFC 4180: quotes keep commas and line ends, a doubled quote is one. */
function splitCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g,
  )) {
    if (end === '' && plain === '' && row.length === 0) break;
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
