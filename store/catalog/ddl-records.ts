import { randomUUID } from 'node:crypto';
import type { AppliedChange, Destination } from '../../core/destination.ts';
import { failpoint } from '../../core/failpoints.ts';
import type { Mapping, TableName } from '../../core/mapping.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';

export interface LoggedChange {
  readonly mapping: Mapping;
  /** The batch that needs it; null: a person ordered it. */
  readonly batchId: string | null;
  readonly signal: AbortSignal;
  /** What the catalog has to know before the table is another one; may run again. */
  readonly save?: (tx: Transaction) => Promise<void>;
}

/**
 * Brings a table to where a mapping fits, with its audit: the record stands before the change is
 * durable and says so afterwards. A process that dies between the two leaves a record that
 * `settlePlannedDdl` decides; so does one whose COMMIT got no answer.
 */
export async function changeTable(
  catalog: Catalog,
  destination: Destination,
  { mapping, batchId, signal, save = async () => undefined }: LoggedChange,
): Promise<readonly AppliedChange[]> {
  const changeId = randomUUID();
  const changes = await destination.applyMapping(mapping, signal, {
    changeId,
    beforeCommit: (planned) =>
      catalog.transaction(async (tx) => {
        await save(tx);
        const statements = planned.map(({ statement }) => statement);
        await insertPlanned(tx, { mapping, batchId, changeId, statements });
      }),
  });
  if (changes.length === 0) {
    await catalog.transaction(save);
    return changes;
  }
  await failpoint('ddl-committed');
  await conclude(catalog, 'applied', [changeId]);
  return changes;
}

async function insertPlanned(
  tx: Transaction,
  {
    mapping,
    batchId,
    changeId,
    statements,
  }: Pick<LoggedChange, 'mapping' | 'batchId'> & {
    readonly changeId: string;
    readonly statements: readonly string[];
  },
): Promise<void> {
  const { destination, source, stream, version, table } = mapping;
  await tx.query(
    `INSERT INTO millrace.ddl_records
       (state, change_id, destination, source, stream, mapping_version, batch_id, table_schema,
        table_name, statement)
     SELECT 'planned', $1, $2, $3, $4, $5, $6, $7, $8, statement
       FROM unnest($9::text[]) WITH ORDINALITY AS s (statement, n) ORDER BY n`,
    [changeId, destination, source, stream, version, batchId, table.schema, table.name, statements],
  );
}

/** The first answer stays: it was given when nothing could change any more. */
async function conclude(
  db: Queryable,
  state: 'applied' | 'abandoned',
  changeIds: readonly string[],
): Promise<void> {
  await db.query(
    `UPDATE millrace.ddl_records
        SET state = $1, applied_at = CASE WHEN $1 = 'applied' THEN now() END
      WHERE change_id = ANY ($2) AND state = 'planned'`,
    [state, changeIds],
  );
}

/**
 * Decides what became of changes whose attempt did not say: each is in the destination, or never
 * will be. Repeating is harmless.
 */
export async function settlePlannedDdl(
  catalog: Catalog,
  destination: Destination,
  of: { readonly destination: string; readonly source?: string; readonly signal: AbortSignal },
): Promise<void> {
  const { rows } = await catalog.query<TableName & { ids: string[] }>(
    `SELECT table_schema AS schema, table_name AS name, array_agg(DISTINCT change_id) AS ids
       FROM millrace.ddl_records
      WHERE state = 'planned' AND destination = $1 AND ($2::text IS NULL OR source = $2)
      GROUP BY 1, 2 ORDER BY 1, 2`,
    [of.destination, of.source ?? null],
  );
  for (const { ids, ...table } of rows) {
    const done = new Set(await destination.committedChanges(table, ids, of.signal));
    await conclude(catalog, 'applied', [...done]);
    const lost = ids.filter((id) => !done.has(id));
    await conclude(catalog, 'abandoned', lost);
  }
}

/** Destinations with changes of which it is not known what became of them. */
export async function destinationsWithPlannedDdl(db: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ destination: string }>(
    `SELECT DISTINCT destination FROM millrace.ddl_records WHERE state = 'planned'`,
  );
  return new Set(rows.map(({ destination }) => destination));
}
