import type { Network } from './network.ts';
import type { TableScope } from './oracle/read-evidence.ts';
import { storeSources } from './workload/store-tables.ts';

/** What flows where. `store` goes from table to table, everything else by way of staging. */
export function configurationFor({ links, archiveUrl, storeUrl }: Network): string {
  const archive = links.archive.urlOf(archiveUrl);
  return `
destinations:
  warehouse: { type: postgres }
  archive: { type: postgres, url: '${archive}' }
sources:
  app: { type: http }
  shop:
    type: file
    settleSeconds: 0
    streams: { clicks: { path: clicks.ndjson }, orders: { path: orders.ndjson } }
${storeSources(links.store.urlOf(storeUrl))}
pipelines:
  app: { source: app, destinations: [warehouse, archive] }
  shop:
    source: shop
    destinations: [warehouse, archive]
    schedule: every 2s
    streams: { orders: { key: id, version: at } }
  store:
    source: store
    destinations: [warehouse]
    schedule: every 2s
    streams: { visits: { write: append } }
  depot: { source: depot, destinations: [warehouse, archive], schedule: every 2s }
`;
}

const both = ['warehouse', 'archive'];

export const tables: readonly (TableScope & { readonly destinations: readonly string[] })[] = [
  append('app', 'app', both),
  append('app', 'visits', both),
  append('shop', 'clicks', both),
  { ...merge('shop', 'orders', both), version: 'at' },
  append('store', 'visits', ['warehouse']),
  { ...merge('store', 'items', ['warehouse']), version: 'n' },
  { ...merge('depot', 'parts', both), version: 'n' },
];

function append(source: string, stream: string, destinations: readonly string[]) {
  const table = `${source}.${stream}`;
  return { source, stream, table, write: 'append', key: 'n', destinations } as const;
}

function merge(source: string, stream: string, destinations: readonly string[]) {
  const table = `${source}.${stream}`;
  return { source, stream, table, write: 'merge', key: 'id', destinations } as const;
}

const smallBatchBytes = 128 * 1024;
/** So that a round makes some tens of batches of every source, however many events it has. */
const batchBytesPerEvent = 16;

/**
 * Short heartbeats, small batches, and staged files that are soon swept.
 * @param roundEvents of the largest round
 */
export const environmentFor = (roundEvents: number) => ({
  MILLRACE_ALLOW_FAULTS: '1',
  MILLRACE_PATIENCE: '0.05',
  MILLRACE_MAX_BATCH_BYTES: String(Math.max(smallBatchBytes, batchBytesPerEvent * roundEvents)),
  MILLRACE_MIN_FREE_BYTES: String(64 * 1024 ** 2),
  MILLRACE_KEEP_EXTRACTS_MS: String(60_000),
});
