import type { TestInstance } from '../support/instance.ts';
import type { StoreTables } from './workload/store-tables.ts';

/** What is still on its way. */
export interface Backlog {
  readonly chunks: number;
  readonly deliveries: number;
  readonly restreams: number;
  readonly backfills: number;
  readonly lines: number;
  /** Of the store, whose last row is not in the warehouse. */
  readonly tables: number;
}

/** @param shopLines lines that were written to the files of `shop` */
export async function readBacklog(
  instance: TestInstance,
  shopLines: number,
  store: StoreTables,
): Promise<Backlog> {
  const [row] = await instance.catalog<Omit<Backlog, 'lines' | 'tables'> & { read: number }>(
    `SELECT (SELECT coalesce(sum(last_chunk + 1 - coalesce(
                      (SELECT max(head::bigint) FROM millrace.lanes l WHERE l.source = i.source), 1)), 0)::int
               FROM millrace.intakes i) AS chunks,
            (SELECT count(*)::int FROM millrace.deliveries WHERE state <> 'settled') AS deliveries,
            (SELECT count(*)::int FROM millrace.restreams WHERE state <> 'settled') AS restreams,
            (SELECT count(*)::int FROM millrace.backfills WHERE state = 'running') AS backfills,
            (SELECT coalesce(sum(events), 0)::int FROM millrace.batches
              WHERE source = 'shop' AND run = 'live') AS read`,
  );
  if (!row) throw new Error('the catalog does not answer');
  const { read, ...counts } = row;
  const tables = await store.unread(async (table, key, value) => {
    const rows = await instance.warehouse(`SELECT FROM ${table} WHERE ${key} = ${value}`);
    return rows.length > 0;
  });
  return { ...counts, lines: shopLines - read, tables };
}

export function isEmpty(backlog: Backlog): boolean {
  return Object.values(backlog).every((count) => count === 0);
}
