import type { FailedEvent } from '../../core/failed-events.ts';
import { PipelineError } from '../../core/errors.ts';

/** Lengths of the description (JSON) and of the raw bytes, which follow as they are. */
const prefixBytes = 8;
const portionBytes = 8 * 1024 * 1024;

/** A staged failure record. */
export function encodeFailure({ raw, ...failure }: FailedEvent): readonly Uint8Array[] {
  const text = Buffer.from(JSON.stringify(failure));
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32LE(text.length, 0);
  prefix.writeUInt32LE(raw.length, 4);
  return [prefix, text, raw];
}

/** Reads failure records back in portions of about 8 MiB. */
export async function* decodeFailures(
  chunks: AsyncIterable<Uint8Array>,
): AsyncIterable<readonly FailedEvent[]> {
  let portion: FailedEvent[] = [];
  let bytes = 0;
  for await (const record of splitRecords(chunks)) {
    portion.push(record.event);
    bytes += record.length;
    if (bytes < portionBytes) continue;
    yield portion;
    portion = [];
    bytes = 0;
  }
  if (portion.length > 0) yield portion;
}

async function* splitRecords(
  chunks: AsyncIterable<Uint8Array>,
): AsyncIterable<{ event: FailedEvent; length: number }> {
  let pieces: Buffer[] = [];
  let size = 0;
  let wanted = prefixBytes;
  for await (const chunk of chunks) {
    pieces.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    size += chunk.length;
    if (size < wanted) continue; // joined once, not with every chunk of a large record
    let rest = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
    for (wanted = lengthOf(rest); rest.length >= wanted; wanted = lengthOf(rest)) {
      yield { event: decodeFailure(rest), length: wanted };
      rest = rest.subarray(wanted);
    }
    pieces = [rest];
    size = rest.length;
  }
  if (size > 0) throw new PipelineError('extract-lost', 'a staged failure file is cut off');
}

function lengthOf(record: Buffer): number {
  if (record.length < prefixBytes) return prefixBytes;
  return prefixBytes + record.readUInt32LE(0) + record.readUInt32LE(4);
}

function decodeFailure(record: Buffer): FailedEvent {
  const textEnd = prefixBytes + record.readUInt32LE(0);
  const failure = JSON.parse(record.toString('utf8', prefixBytes, textEnd)) as FailedEvent;
  return { ...failure, raw: record.subarray(textEnd, textEnd + record.readUInt32LE(4)) };
}
