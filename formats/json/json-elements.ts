import { PipelineError } from '../../core/errors.ts';
import { JsonCursor } from './json-cursor.ts';
import { invalid } from './json-fault.ts';

export interface JsonElements {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/**
 * Finds the records of a JSON document: the elements of an array; of an object the array that
 * `records` names (a path joined by dots), or the object itself. Checks the grammar of the
 * document; everything else is the matter of each record.
 * @throws JsonFault when the document is not sound JSON: it cannot be cut then.
 * @throws PipelineError `invalid-config` when there is no array at `records`.
 */
export function findElements(document: Uint8Array, records: string | undefined): JsonElements {
  const cursor = new JsonCursor();
  cursor.reset(document, 0, document.length);
  const first = cursor.peek();
  const found =
    first === 0x5b
      ? readArray(cursor)
      : records === undefined
        ? readWhole(cursor)
        : readNested(cursor, records.split('.'));
  if (cursor.peek() !== -1) throw invalid('something follows the document');
  if (found) return found;
  throw new PipelineError(
    'invalid-config',
    `the document has no array at "${records}": correct records: in the configuration of the source`,
  );
}

function readWhole(cursor: JsonCursor): JsonElements {
  const start = cursor.at;
  cursor.passValue();
  return { starts: Uint32Array.of(start), ends: Uint32Array.of(cursor.at) };
}

function readArray(cursor: JsonCursor): JsonElements {
  const [starts, ends]: [number[], number[]] = [[], []];
  cursor.at += 1;
  if (cursor.peek() === 0x5d) cursor.at += 1;
  else {
    for (let more = true; more;) {
      cursor.peek();
      starts.push(cursor.at);
      cursor.passValue();
      ends.push(cursor.at);
      const byte = cursor.peek();
      cursor.at += 1;
      more = byte === 0x2c;
      if (!more && byte !== 0x5d) {
        throw invalid('an array lacks a comma or its end');
      }
    }
  }
  return { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
}

/** Goes through an object to the array at a path; the rest of the document is checked too. */
function readNested(cursor: JsonCursor, path: readonly string[]): JsonElements | null {
  const [name, ...rest] = path;
  let found: JsonElements | null = null;
  if (cursor.peek() !== 0x7b) {
    if (name === undefined && cursor.peek() === 0x5b) return readArray(cursor);
    cursor.passValue();
    return null;
  }
  cursor.at += 1;
  if (cursor.peek() === 0x7d) {
    cursor.at += 1;
    return null;
  }
  for (let more = true; more;) {
    if (cursor.key() === name) {
      if (found) throw invalid('the array of records stands there twice');
      found = readNested(cursor, rest);
    } else cursor.passValue();
    const byte = cursor.peek();
    cursor.at += 1;
    more = byte === 0x2c;
    if (!more && byte !== 0x7d) {
      throw invalid('an object lacks a comma or its end');
    }
  }
  return found;
}
