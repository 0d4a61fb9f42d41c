import type { IntakeEvent } from '../core/intake.ts';
import type { RecordBlock, RecordFault } from '../core/records.ts';
import { encodeFrame } from '../formats/frames.ts';

const context = { format: { kind: 'json' } } as const;

/** The content of a chunk: events by stream, each with its place among all as the number of its id. */
export function encodeChunk(events: readonly IntakeEvent[]): Uint8Array {
  const streams = new Map<string, number[]>();
  for (const [place, { stream }] of events.entries()) {
    const places = streams.get(stream);
    if (places) places.push(place);
    else streams.set(stream, [place]);
  }
  const frames = [...streams].flatMap(([stream, places]) =>
    encodeFrame(toBlock(stream, places, events)),
  );
  return Buffer.concat(frames);
}

function toBlock(
  stream: string,
  places: readonly number[],
  events: readonly IntakeEvent[],
): RecordBlock {
  const own = places.map((place) => events[place] as IntakeEvent);
  const starts = new Uint32Array(own.length);
  const ends = new Uint32Array(own.length);
  const faults: RecordFault[] = [];
  let at = 0;
  for (const [index, { bytes, fault }] of own.entries()) {
    starts[index] = at;
    ends[index] = at += bytes.length;
    if (fault) faults.push({ index, ...fault });
  }
  return {
    stream,
    context,
    bytes: Buffer.concat(
      own.map(({ bytes }) => bytes),
      at,
    ),
    starts,
    ends,
    idPrefix: '',
    idNumbers: Float64Array.from(places),
    ids: own.map(({ id }) => id),
    ...(faults.length > 0 && { faults }),
  };
}
