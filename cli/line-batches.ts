const maxBytes = 256 * 1024;
const newline = 0x0a;
const blanks = new Set([newline, 0x0d, 0x20, 0x09]);

/** Whole lines, as many as go into one request; bytes as they are. */
export async function* lineBatches(
  input: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array<ArrayBuffer>> {
  let rest: Buffer<ArrayBuffer> = Buffer.alloc(0);
  for await (const chunk of input) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length > maxBytes) {
      const last = rest.lastIndexOf(newline, maxBytes - 1);
      const end = last >= 0 ? last : rest.indexOf(newline);
      if (end < 0) break; // one long line
      const lines = rest.subarray(0, end + 1);
      if (holdsSomething(lines)) yield lines;
      rest = rest.subarray(end + 1);
    }
  }
  if (holdsSomething(rest)) yield rest;
}

/** A request of blank lines alone would be refused as empty. */
function holdsSomething(lines: Uint8Array): boolean {
  return lines.some((byte) => !blanks.has(byte));
}
