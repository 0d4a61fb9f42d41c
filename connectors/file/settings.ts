import { z } from 'zod';

const formats = z.enum(['ndjson', 'json', 'csv', 'tsv']);
const globs = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);
const delimiter = z.string().length(1, 'must be one character');

const reading = {
  format: formats.optional().describe('default: by the extension of the file'),
  records: z.string().min(1).optional().describe('JSON documents: path of the array of records'),
  delimiter: delimiter.optional().describe('CSV: default: found in the header'),
};

export const fileSettings = z
  .strictObject({
    path: globs.optional().describe('glob below the root; one stream for each file stem'),
    streams: z
      .record(z.string().min(1), z.strictObject({ path: globs, ...reading }))
      .optional()
      .describe('one stream for each pattern'),
    root: z.string().min(1).optional().describe('default: the folder of the configuration'),
    ...reading,
    settleSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(10)
      .describe('an unterminated last line is read when the file has not changed for so long'),
    maxDocumentBytes: z
      .int()
      .min(1024)
      .max(256 * 2 ** 20)
      .default(64 * 2 ** 20)
      .describe('a larger JSON document stops its lane'),
  })
  .refine(({ path, streams }) => path !== undefined || streams !== undefined, {
    error: 'needs path: (one stream per file) or streams: (one per pattern)',
  });

export type FileSettings = z.infer<typeof fileSettings>;

/** How the files of one pattern are read. */
export interface FileRule {
  /** Absent: the file's stem. */
  readonly stream?: string | undefined;
  readonly globs: readonly string[];
  readonly format?: z.infer<typeof formats> | undefined;
  readonly records?: string | undefined;
  readonly delimiter?: string | undefined;
}

/** The first rule that fits a file counts. */
export function rulesOf({ path, streams = {}, format, records, delimiter: char }: FileSettings) {
  const named = Object.entries(streams).map(([stream, rule]): FileRule => ({
    stream,
    globs: toList(rule.path),
    format: rule.format ?? format,
    records: rule.records ?? records,
    delimiter: rule.delimiter ?? char,
  }));
  const plain: FileRule = { globs: toList(path ?? []), format, records, delimiter: char };
  return path === undefined ? named : [...named, plain];
}

function toList(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}
