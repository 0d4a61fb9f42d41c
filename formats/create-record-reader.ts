import type { RecordFormat, RecordLimits } from '../core/records.ts';
import { CsvReader } from './csv/csv-reader.ts';
import { JsonReader } from './json/json-reader.ts';
import type { PathTree } from './path-tree.ts';
import type { RecordReader } from './record-reader.ts';

export function createRecordReader(
  format: RecordFormat,
  tree: PathTree,
  limits: RecordLimits,
): RecordReader {
  if (format.kind === 'csv') return new CsvReader(format, tree);
  return new JsonReader(tree, limits);
}
