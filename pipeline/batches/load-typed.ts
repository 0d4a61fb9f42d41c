import type {
  CopiedRows,
  CopyResult,
  Destination,
  LedgerRow,
  LoadRequest,
  LoadTransaction,
} from '../../core/destination.ts';
import { must, PipelineError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoints.ts';
import { hashFailures } from './failures-hash.ts';
import type { LoadCallbacks } from './batch-to-load.ts';
import { sameContent } from './same-content.ts';

export interface TypedBatch {
  readonly request: LoadRequest;
  readonly rows: CopiedRows;
}

type Loaded = Extract<CopyResult, { ok: true }>;

/**
 * Loads a batch whose rows come from its source as the table takes them: the steps of `loadBatch`,
 * with one table and no row looked at. The source is asked last, once the ledger has been.
 * @throws PipelineError `needs-staging` where the destination refuses a row; what source and
 *   destination throw. Repeating is always safe: nothing of a failed attempt stays, so the next may
 *   read other rows.
 */
export async function loadTyped(
  destination: Destination,
  { request, rows }: TypedBatch,
  { onProgress }: Pick<LoadCallbacks, 'onProgress'>,
): Promise<LedgerRow> {
  await using transaction = await destination.beginLoad(request);
  await transaction.fence();
  await failpoint('fence-taken');
  await transaction.lockTables();
  const standing = await transaction.claim();
  if (standing) return sameContent(standing, request);
  await transaction.holdTables([rows.mapping]);
  await failpoint('ledger-inserted');
  const { loaded, duplicate, superseded } = await pipe(transaction, { request, rows });
  onProgress({ rows: loaded, bytes: 0 });
  const { schema, name } = rows.mapping.table;
  const row = await transaction.conclude({
    rowsLoaded: loaded,
    rowsDuplicate: duplicate,
    rowsSuperseded: superseded,
    rowsFailed: 0,
    rowsDiscarded: 0,
    failedSha256: hashFailures([]),
    tables: { [`${schema}.${name}`]: loaded },
  });
  await failpoint('before-commit');
  await transaction.commit();
  await failpoint('commit-unread');
  return row;
}

async function pipe(
  transaction: LoadTransaction,
  { request: { claim }, rows }: TypedBatch,
): Promise<Loaded> {
  if (rows.mapping.replace) {
    const newest = await transaction.newestLoaded(claim.lane);
    // A newer refresh is there: this one would take its place, so nothing of it is read.
    if (newest !== null && newest >= claim.to) return nothing;
    await transaction.clear(rows.mapping.table);
  }
  const result = must(await transaction.pipe?.(rows), 'pipe of the destination');
  if (result.ok) return result;
  throw new PipelineError('needs-staging', result.message);
}

const nothing: Loaded = { ok: true, loaded: 0, duplicate: 0, superseded: 0 };
