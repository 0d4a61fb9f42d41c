import { readAll } from './content.ts';
import type { FoundFile } from './find-files.ts';
import { formatOf } from './format.ts';
import type { FileMemo } from './memo.ts';
import { readDocument } from './plan-document.ts';
import { readHeader } from './plan-lines.ts';
import type { FilePosition } from './position.ts';
import { hashBytes, samplesAt } from './recognise.ts';

const newline = 0x0a;

/**
 * The memo of a file of which so much was read once, by plans that are forgotten. What stands there
 * now is taken for what was read; where that cannot be (it is shorter, or the place is inside a
 * line), the file counts as rewritten, and what was read of it as gone.
 */
export async function noteAt(
  file: FoundFile,
  { path }: FileMemo,
  at: FilePosition & { readonly maxDocumentBytes: number },
): Promise<FileMemo> {
  const { generation, offset: head } = at;
  if (head === 0) return { path, generation, head };
  const format = await formatOf(file);
  const unknown: FileMemo = {
    path,
    generation,
    head,
    format,
    prefix: '',
    tail: '',
    rewritten: true,
  };
  if (format === 'json') {
    const { maxDocumentBytes: maxBytes } = at;
    const { bytes } = await readDocument(file, { maxBytes, records: file.rule.records });
    const { prefix: _, tail: _tail, ...gone } = unknown;
    if (bytes.length !== head) return { ...gone, document: '' };
    return { path, generation, head, format, document: hashBytes(bytes) };
  }
  const around = await readAll(file, { from: head - 1, to: head + 1 });
  const ends = around[0] === newline || around.length === 1;
  if (around.length === 0 || !ends) return unknown;
  const csv = format === 'csv' ? await readHeader(file) : undefined;
  const samples = await samplesAt(file, head);
  return { path, generation, head, format, ...(csv && { csv }), ...samples };
}
