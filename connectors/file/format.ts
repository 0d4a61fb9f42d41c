import { PipelineError } from '../../core/errors.ts';
import { isFirstOfLines } from '../../formats/json/json-sniff.ts';
import { readAll } from './content.ts';
import { extensionOf, type FoundFile } from './find-files.ts';
import type { FileMemo } from './memo.ts';

type Format = NonNullable<FileMemo['format']>;

const byExtension: ReadonlyMap<string, Format> = new Map([
  ['ndjson', 'ndjson'],
  ['jsonl', 'ndjson'],
  ['csv', 'csv'],
  ['tsv', 'csv'],
]);
const sniffBytes = 256 * 1024;

/**
 * How a file is to be read: as configured, else by its extension. A `.json` file with one record
 * a line is NDJSON, whatever it is called.
 * @throws PipelineError `invalid-config` for an unknown extension
 */
export async function formatOf(file: FoundFile): Promise<Format> {
  const { path, rule } = file;
  if (rule.format !== undefined) return rule.format === 'tsv' ? 'csv' : rule.format;
  const extension = extensionOf(path);
  const known = byExtension.get(extension);
  if (known) return known;
  if (extension === 'json') {
    const start = await readAll(file, { to: sniffBytes });
    return isFirstOfLines(start) ? 'ndjson' : 'json';
  }
  throw new PipelineError(
    'invalid-config',
    `the format of ${path} is unknown: set format: ndjson, json, csv or tsv for it`,
  );
}

/** The delimiter as configured, by extension, or the likeliest one in the header. */
export function delimiterOf({ path, rule }: FoundFile, header: Uint8Array): string {
  if (rule.delimiter !== undefined) return rule.delimiter;
  if (rule.format === 'tsv' || extensionOf(path) === 'tsv') return '\t';
  const text = new TextDecoder().decode(header);
  const counts = [',', ';', '\t', '|'].map((char) => [char, text.split(char).length] as const);
  return counts.reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}
