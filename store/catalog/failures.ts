import { createHash } from 'node:crypto';
import type { FailedEvent } from '../../core/failed-events.ts';
import type { Catalog, Transaction } from './catalog.ts';

export interface FailureOrigin {
  readonly batchId: string;
  readonly destination: string;
  readonly source: string;
  readonly lane: string;
  /** The map or load attempt that met the failures; the ledger names the attempts that count. */
  readonly attempt: string;
}

const maxStatementBytes = 8 * 1024 * 1024;
const maxStatementRows = 5_000;

/**
 * Writes provisional records of failed events. Repeating is harmless (same attempt, same place).
 * Locks the delivery and writes nothing once it is settled: records of a zombie.
 */
export async function recordFailures(
  catalog: Catalog,
  origin: FailureOrigin,
  events: readonly FailedEvent[],
): Promise<void> {
  for (const portion of portions(events)) {
    await catalog.transaction(async (tx) => {
      const { rows } = await tx.query<{ state: string }>(
        `SELECT state FROM millrace.deliveries WHERE batch_id = $1 AND destination = $2 FOR SHARE`,
        [origin.batchId, origin.destination],
      );
      if (rows[0]?.state !== 'settled') await insertRecords(tx, origin, portion);
    });
  }
}

/**
 * Marks failures that mapping found of events which had arrived before: settling takes them back,
 * if the load attempt that says so is the one that the ledger names.
 */
export async function noteResentFailures(
  catalog: Catalog,
  { batchId, destination, attempt }: Pick<FailureOrigin, 'batchId' | 'destination' | 'attempt'>,
  ordinals: readonly number[],
): Promise<void> {
  await catalog.query(
    `INSERT INTO millrace.resent_failures (batch_id, destination, attempt, ordinal)
     SELECT $1, $2, $3, unnest($4::bigint[]) ON CONFLICT DO NOTHING`,
    [batchId, destination, attempt, ordinals],
  );
}

function* portions(events: readonly FailedEvent[]): Iterable<readonly FailedEvent[]> {
  let portion: FailedEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    portion.push(event);
    bytes += event.raw.length;
    if (bytes < maxStatementBytes && portion.length < maxStatementRows) continue;
    yield portion;
    portion = [];
    bytes = 0;
  }
  if (portion.length > 0) yield portion;
}

/** The raw bytes travel as one value: in an array they would become text of twice their size. */
async function insertRecords(
  tx: Transaction,
  { batchId, destination, source, lane, attempt }: FailureOrigin,
  events: readonly FailedEvent[],
): Promise<void> {
  const column = <T>(read: (event: FailedEvent) => T) => events.map(read);
  await tx.query(
    `INSERT INTO millrace.failure_records
       (batch_id, destination, source, lane, attempt, raw, ordinal, child, stream, event_id, stage,
        kind, field, expected, observed, message, sql_state, mapping_version, raw_sha256, context,
        line_number, version)
     SELECT $1, $2, $3, $4, $5,
            substring($6::bytea FROM (1 + sum(size) OVER (ORDER BY place) - size)::int FOR size),
            ordinal, child, stream, event_id, stage, kind, field, expected, observed, message,
            sql_state, mapping_version, raw_sha256, context, line_number, version
       FROM unnest($7::int[], $8::bigint[], $9::int[], $10::text[], $11::text[], $12::text[],
                   $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
                   $19::int[], $20::text[], $21::jsonb[], $22::bigint[], $23::text[])
            WITH ORDINALITY
            AS event (size, ordinal, child, stream, event_id, stage, kind, field, expected, observed,
                      message, sql_state, mapping_version, raw_sha256, context, line_number, version,
                      place)
     ON CONFLICT DO NOTHING`,
    [
      batchId,
      destination,
      source,
      lane,
      attempt,
      joined(events),
      column(({ raw }) => raw.length),
      column(({ ordinal }) => ordinal),
      column(({ child }) => child),
      column(({ stream }) => stream),
      column(({ eventId }) => eventId),
      column(({ stage }) => stage),
      column(({ kind }) => kind),
      column(({ field }) => field ?? null),
      column(({ expected }) => expected ?? null),
      column(({ observed }) => observed ?? null),
      column(({ message }) => message),
      column(({ sqlState }) => sqlState ?? null),
      column(({ mappingVersion }) => mappingVersion ?? null),
      column(({ raw }) => createHash('sha256').update(raw).digest('hex')),
      column(({ context }) => JSON.stringify(context)),
      column(({ lineNumber }) => (Number.isFinite(lineNumber) ? lineNumber : null)),
      column(({ version }) => version),
    ],
  );
}

function joined(events: readonly FailedEvent[]): Buffer {
  const [first] = events;
  if (events.length > 1 || !first) return Buffer.concat(events.map(({ raw }) => raw));
  return Buffer.from(first.raw.buffer, first.raw.byteOffset, first.raw.length);
}
