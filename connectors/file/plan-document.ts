import { isUtf8 } from 'node:buffer';
import { PipelineError } from '../../core/errors.ts';
import type { RecordFault } from '../../core/records.ts';
import { findElements } from '../../formats/json/json-elements.ts';
import { JsonFault } from '../../formats/json/json-fault.ts';
import { isGzip, readAll } from './content.ts';
import type { FoundFile } from './find-files.ts';
import { bomLength } from './line-scanner.ts';

/** A JSON document as it stands in its file. */
export interface Document {
  readonly bytes: Uint8Array;
  /** Null where it is not sound JSON: the whole is one record then. */
  readonly elements: { readonly starts: Uint32Array; readonly ends: Uint32Array } | null;
  readonly fault: Omit<RecordFault, 'index'> | null;
}

/**
 * Reads a whole document and finds its records.
 * @throws PipelineError `file-too-large`; `invalid-config` where `records:` names no array.
 */
export async function readDocument(
  file: Pick<FoundFile, 'path' | 'absolute' | 'size'>,
  { maxBytes, records }: { readonly maxBytes: number; readonly records: string | undefined },
): Promise<Document> {
  if (!isGzip(file.path) && file.size > maxBytes) throw tooLarge(file.path, maxBytes);
  const whole = await readAll(file, { to: maxBytes + 1 });
  if (whole.length > maxBytes) throw tooLarge(file.path, maxBytes);
  const bytes = whole.subarray(bomLength(whole));
  try {
    return {
      bytes: whole,
      elements: shift(findElements(bytes, records), bomLength(whole)),
      fault: null,
    };
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    const { message } = error;
    const fault = isUtf8(whole)
      ? { kind: 'invalid-json' as const, message }
      : { kind: 'invalid-encoding' as const, message: 'the document is not valid UTF-8' };
    return { bytes: whole, elements: null, fault };
  }
}

function shift(found: { starts: Uint32Array; ends: Uint32Array }, by: number) {
  if (by === 0) return found;
  return { starts: found.starts.map((at) => at + by), ends: found.ends.map((at) => at + by) };
}

function tooLarge(path: string, maxBytes: number): PipelineError {
  const limit = Math.round(maxBytes / 2 ** 20);
  return new PipelineError(
    'file-too-large',
    `${path} is a JSON document larger than ${limit} MiB, which is read whole: write it as NDJSON (one record a line)`,
  );
}
