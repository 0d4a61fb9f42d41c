const maxBytes = 256 * 1024;
const newline = 0x0a;

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
      yield rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.length > 0) yield rest;
}
