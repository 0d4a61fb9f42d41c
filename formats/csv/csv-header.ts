import { PathTree } from '../path-tree.ts';
import { token } from '../record-tape.ts';
import { CsvReader } from './csv-reader.ts';

/** Names of the columns: empty ones get their number, a second one of the same name too. */
export function readCsvHeader(line: Uint8Array, delimiter: string): readonly string[] {
  const names = splitCells(line, delimiter);
  const taken = new Set<string>();
  return names.map((name, at) => {
    let column = name === '' ? `column_${at + 1}` : name;
    if (taken.has(column)) column = `${column}_${at + 1}`;
    while (taken.has(column)) column += '_';
    taken.add(column);
    return column;
  });
}

function splitCells(line: Uint8Array, delimiter: string): string[] {
  const count = line.length + 1; // more cells than there can be: the reader only takes known ones
  const columns = Array.from({ length: count }, (_, at) => String(at));
  const reader = new CsvReader({ kind: 'csv', csv: { columns, delimiter } }, new PathTree());
  reader.read(line, 0, line.length);
  const { tape } = reader;
  return Array.from({ length: tape.count }, (_, at) => {
    const cell = Buffer.from(line.subarray(tape.starts[at], tape.ends[at])).toString('utf8');
    return (tape.tokens[at] === token.quotedCell ? cell.replaceAll('""', '"') : cell).trim();
  });
}
