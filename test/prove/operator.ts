import { createApi } from '../../cli/api.ts';
import { readInstance } from '../../local/instance.ts';
import type { TestInstance } from '../support/instance.ts';
import { queryAt } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';
import type { Network } from './network.ts';

/** A person who keeps large amounts out of some tables, lets them in again, and retries what failed. */
export interface Operator {
  /** @param below amounts from this on are refused; they are spread evenly over 0 to 1,000 */
  keepLargeOut(below: number): Promise<void>;
  letLargeIn(): Promise<void>;
  /** Retries every group that the warehouse refused; does not wait for the end. */
  retryRefused(): Promise<number>;
  /** Asks for every source of which a lane is paused: it goes on then. Answers how many there were. */
  goOn(): Promise<number>;
}

const tables = {
  archive: ['app.app', 'app.visits', 'shop.orders', 'shop.clicks', 'depot.parts'],
  warehouse: ['store.visits', 'store.items'],
} as const;

export function createOperator(instance: TestInstance, network: Network): Operator {
  const urls = {
    archive: () => network.archiveUrl,
    warehouse: () => instance.urls.destinations['warehouse'] ?? '',
  };
  const change = async (statement: (table: string) => string) => {
    for (const name of ['archive', 'warehouse'] as const) {
      for (const table of tables[name]) {
        await until(`${table} to be changed`, async () => {
          await queryAt(urls[name](), statement(table));
          return true;
        });
      }
    }
  };
  return {
    keepLargeOut: (below) =>
      change(
        (table) =>
          `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS small,
             ADD CONSTRAINT small CHECK (amount < ${below}) NOT VALID`,
      ),
    letLargeIn: () => change((table) => `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS small`),
    async retryRefused() {
      const groups = await instance.catalog<{ group_id: string }>(
        `SELECT group_id FROM millrace.failure_groups
          WHERE kind = 'destination-rejected' AND open_count > 0`,
      );
      const api = await openApi(instance);
      for (const { group_id } of groups) await api.post(`failed/groups/${group_id}/retry`);
      return groups.length;
    },
    async goOn() {
      const pipelines = await pausedSources(instance);
      if (pipelines.length > 0) await (await openApi(instance)).post('syncs', { pipelines });
      return pipelines.length;
    },
  };
}

/** Of which a lane waits for a person, after batches of which nothing loaded. */
export async function pausedSources(instance: TestInstance): Promise<readonly string[]> {
  const rows = await instance.catalog<{ source: string }>(
    `SELECT DISTINCT source FROM millrace.lanes
      WHERE state = 'paused' AND stop_kind = 'lane-paused'`,
  );
  return rows.map(({ source }) => source);
}

/** A verb of its own for each question would take seconds. */
async function openApi(instance: TestInstance) {
  const info = (await readInstance(instance.urls.home))?.info;
  if (!info) throw new Error('nothing runs that could be asked');
  return createApi(info);
}
