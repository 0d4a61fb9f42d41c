import { JsonCursor } from './json-cursor.ts';
import { JsonFault } from './json-fault.ts';

const newline = 0x0a;

/**
 * True where the bytes begin with a whole JSON object on one line and another one follows: NDJSON.
 * Objects over several lines are not: cut at their lines, no piece of them would be JSON.
 */
export function isFirstOfLines(start: Uint8Array): boolean {
  const cursor = new JsonCursor();
  const bom = start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf ? 3 : 0;
  cursor.reset(start, bom, start.length);
  if (cursor.peek() !== 0x7b) return false;
  const from = cursor.at;
  try {
    cursor.passValue();
    const end = cursor.at;
    const line = start.indexOf(newline, from);
    return cursor.peek() === 0x7b && (line < 0 || line >= end);
  } catch (error) {
    if (error instanceof JsonFault) return false;
    throw error;
  }
}
