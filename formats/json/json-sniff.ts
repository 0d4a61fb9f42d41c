import { JsonCursor } from './json-cursor.ts';
import { JsonFault } from './json-fault.ts';

/** True where the bytes begin with a whole JSON object and another value follows: NDJSON. */
export function isCompleteValueFollowed(start: Uint8Array): boolean {
  const cursor = new JsonCursor();
  const bom = start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf ? 3 : 0;
  cursor.reset(start, bom, start.length);
  if (cursor.peek() !== 0x7b) return false;
  try {
    cursor.passValue();
    return cursor.peek() === 0x7b;
  } catch (error) {
    if (error instanceof JsonFault) return false;
    throw error;
  }
}
