import type pg from 'pg';
import type { LedgerRow, LedgerSurvey } from '../../core/destination.ts';
import { must } from '../../core/errors.ts';
import { ledgerColumns } from './ledger.ts';
import type { LedgerKey } from './ledger-key.ts';

/** As the index `ledger_lanes` has it: batches of live runs. */
const isLive = `starts_with(batch_id, source || '/')`;
const ofSource = `installation = $1 AND destination = $2 AND source = $3 AND ${isLive}`;

/** From one lane to the next by the index, however many rows each has. */
const lanesOf = `
  WITH RECURSIVE lanes AS (
    (SELECT lane FROM _millrace.ledger WHERE ${ofSource} ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT lane FROM _millrace.ledger
             WHERE ${ofSource} AND lane > lanes.lane ORDER BY lane LIMIT 1)
      FROM lanes WHERE lane IS NOT NULL)`;

/** See `core/destination.ts`. */
export async function surveyLedger(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { source, lane }: { readonly source: string; readonly lane?: string },
): Promise<LedgerSurvey> {
  const lanes = lane === undefined ? lanesOf : 'WITH lanes AS (SELECT $4::text AS lane)';
  const values = [installation, destination, source];
  const { rows } = await client.query<{ lane: string; batchId: string }>(
    `${lanes}
     SELECT lanes.lane, furthest.batch_id AS "batchId" FROM lanes, LATERAL (
       SELECT batch_id FROM _millrace.ledger l
        WHERE ${ofSource} AND l.lane = lanes.lane ORDER BY to_position COLLATE "C" DESC LIMIT 1) furthest
      WHERE lanes.lane IS NOT NULL`,
    lane === undefined ? values : [...values, lane],
  );
  return { incarnation: await readIncarnation(client), furthest: rows };
}

/** A dump that is read in makes tables anew; a copied data directory comes with a start. */
async function readIncarnation(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ incarnation: string }>(
    `SELECT concat_ws(' ', '_millrace.ledger'::regclass::oid, d.oid, pg_postmaster_start_time())
            AS incarnation FROM pg_database d WHERE datname = current_database()`,
  );
  return must(rows[0], 'the database').incarnation;
}

export async function pageLedger(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  page: { readonly source: string; readonly after: string; readonly limit: number },
): Promise<LedgerRow[]> {
  const { rows } = await client.query<LedgerRow>(
    `SELECT ${ledgerColumns} FROM _millrace.ledger
      WHERE installation = $1 AND destination = $2 AND source = $3 AND batch_id > $4
      ORDER BY batch_id LIMIT $5`,
    [installation, destination, page.source, page.after, page.limit],
  );
  return rows;
}

/** See `core/destination.ts`. The other installation may have named the destination otherwise. */
export async function adoptLedger(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { sources, dryRun }: { readonly sources: readonly string[]; readonly dryRun: boolean },
): Promise<number> {
  const foreign = `installation <> $1 AND source = ANY ($3) AND NOT EXISTS (
    SELECT FROM _millrace.ledger ours
     WHERE ours.installation = $1 AND ours.destination = $2 AND ours.batch_id = l.batch_id)`;
  const { rows } = await client.query<{ count: number }>(
    dryRun
      ? `SELECT count(*) AS count FROM _millrace.ledger l WHERE ${foreign} AND $2 <> ''`
      : `WITH adopted AS (
           UPDATE _millrace.ledger l SET installation = $1, destination = $2 WHERE ${foreign}
           RETURNING 1)
         SELECT count(*) AS count FROM adopted`,
    [installation, destination, sources],
  );
  return Number(must(rows[0], 'the count').count);
}
