import { createHash } from 'node:crypto';
import { eventIdOf, recordBytes, recordCount } from '../core/records.ts';
import { decodeFrames } from '../formats/frames.ts';
import { intakeLane, intakePosition } from '../connectors/kit/intake-source.ts';
import type { Queryable } from '../store/catalog/catalog.ts';
import {
  deliveriesAt,
  failuresOf,
  findChunks,
  readOn,
  type FailureTrace,
  type FoundChunk,
} from '../store/catalog/traces.ts';
import type { ReceivedTrace, TailAnswer, TraceAnswer } from './contract/traces.ts';

const maxFound = 20;
/** Read at once while somebody follows. */
const tailChunks = 10;
const minuteMs = 60_000;

/** Where an event is: in the intake, on its way, in tables, or waiting in review. */
export async function traceEvent(
  db: Queryable,
  { id, sources }: { readonly id: string; readonly sources: readonly string[] },
): Promise<TraceAnswer> {
  const failed = await failuresOf(db, { sources, eventId: id });
  const chunks = await findChunks(db, {
    sources,
    bytes: Buffer.from(JSON.stringify(id).slice(1, -1)),
    receivedBetween: timeOf(id),
    limit: maxFound,
  });
  const received = [];
  for (const chunk of chunks) {
    for (const event of (await eventsOf(chunk)).filter((one) => one.id === id)) {
      received.push(await describe(db, { chunk, event, failed }));
    }
  }
  return { id, received, failed };
}

/** Events of a source as they came: all of the chunks behind one, or the newest few. */
export async function tailEvents(
  db: Queryable,
  input: { readonly source: string; readonly after: number | null; readonly limit: number },
): Promise<TailAnswer> {
  const { source, after, limit } = input;
  const chunks = await readOn(db, { source, after, limit: after === null ? limit : tailChunks });
  const events = [];
  for (const chunk of chunks) {
    for (const { id, stream, bytes } of await eventsOf(chunk)) {
      const { receivedAt } = chunk;
      events.push({ id, stream, receivedAt, raw: Buffer.from(bytes).toString() });
    }
  }
  const next = chunks.at(-1)?.chunk ?? after ?? 0;
  return { next, events: after === null ? events.slice(-limit) : events };
}

interface FoundEvent {
  readonly id: string;
  readonly stream: string;
  readonly bytes: Uint8Array;
}

async function eventsOf({ content }: FoundChunk): Promise<readonly FoundEvent[]> {
  const events = [];
  for await (const block of decodeFrames(once(content))) {
    for (let at = 0; at < recordCount(block); at += 1) {
      const { stream } = block;
      events.push({ id: eventIdOf(block, at), stream, bytes: recordBytes(block, at) });
    }
  }
  return events;
}

async function describe(
  db: Queryable,
  {
    chunk,
    event,
    failed,
  }: { chunk: FoundChunk; event: FoundEvent; failed: readonly FailureTrace[] },
): Promise<ReceivedTrace> {
  const { source, chunk: number, receivedAt } = chunk;
  const sha256 = createHash('sha256').update(event.bytes).digest('hex');
  const position = intakePosition(number);
  const deliveries = await deliveriesAt(db, { source, lane: intakeLane, position });
  const hasFailed = ({ batchId, destination }: { batchId: string; destination: string }) =>
    failed.some(
      (one) => one.batchId === batchId && one.destination === destination && one.sha256 === sha256,
    );
  return {
    source,
    stream: event.stream,
    chunk: number,
    receivedAt,
    bytes: event.bytes.length,
    sha256,
    deliveries: deliveries.map((one) => ({
      ...one,
      state: one.state !== 'settled' ? one.state : hasFailed(one) ? 'failed' : 'loaded',
    })),
  };
}

/** When an event was received whose id we gave: it begins with the time. */
function timeOf(id: string): readonly [Date, Date] | null {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id)) return null;
  const ms = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  const hour = 60 * minuteMs;
  const isOurs = Math.abs(ms - Date.now()) < 400 * 24 * hour;
  return isOurs ? [new Date(ms - hour), new Date(ms + hour)] : null;
}

async function* once(content: Uint8Array): AsyncIterable<Uint8Array> {
  yield content;
}
