import type { FailedEvent } from '../core/failed-events.ts';
import {
  eventIdOf,
  recordBytes,
  recordCount,
  versionOf,
  type RecordBlock,
} from '../core/records.ts';
import type { Staging } from '../core/staging.ts';
import { readWhole } from '../store/staging/read-whole.ts';
import type { LoadFiles } from './threads/block-task.ts';
import { decodeFailures } from './threads/failure-file.ts';

type StagedRecord = Pick<
  FailedEvent,
  'stream' | 'eventId' | 'raw' | 'context' | 'lineNumber' | 'version'
>;

/** Finds records of an extract by ordinal. Reads it in full: refused rows are rare. */
export async function readRecords(
  extract: AsyncIterable<RecordBlock>,
  wanted: ReadonlySet<number>,
): Promise<ReadonlyMap<number, StagedRecord>> {
  const found = new Map<number, StagedRecord>();
  let first = 0;
  for await (const block of extract) {
    for (let index = 0; index < recordCount(block); index += 1) {
      if (!wanted.has(first + index)) continue;
      found.set(first + index, {
        stream: block.stream,
        eventId: eventIdOf(block, index),
        raw: recordBytes(block, index).slice(),
        context: block.context,
        lineNumber: block.lineNumbers?.[index],
        version: versionOf(block, index),
      });
    }
    first += recordCount(block);
  }
  return found;
}

/** Which of these events are in an extract, and where. Reads it in full. */
export async function findEvents(
  extract: AsyncIterable<RecordBlock>,
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  let first = 0;
  for await (const block of extract) {
    for (let index = 0; index < recordCount(block); index += 1) {
      const id = eventIdOf(block, index);
      if (wanted.has(id)) found.set(id, first + index);
    }
    first += recordCount(block);
  }
  return found;
}

/** (ordinal, child) of the events that failed before loading. */
export async function readFailedPlaces(
  staging: Staging,
  { failuresFile }: LoadFiles,
): Promise<readonly { ordinal: number; child: number }[]> {
  if (failuresFile === null) return [];
  const failed = [];
  for await (const events of decodeFailures(readWhole(staging, failuresFile))) {
    for (const { ordinal, child } of events) failed.push({ ordinal, child });
  }
  return failed;
}
