import type { TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

/** A person who keeps large amounts out of `archive`, lets them in again, and retries what failed. */
export interface Operator {
  keepLargeOut(): Promise<void>;
  letLargeIn(): Promise<void>;
  /** Retries every group that the warehouse refused; does not wait for the end. */
  retryRefused(): Promise<number>;
}

const tables = ['app.app', 'app.visits', 'shop.orders', 'shop.clicks'];

export function createOperator(instance: TestInstance): Operator {
  const change = async (statement: (table: string) => string) => {
    for (const table of tables) {
      await until('the table to be changed', async () => {
        await instance.warehouse(statement(table), [], 'archive');
        return true;
      });
    }
  };
  return {
    keepLargeOut: () =>
      change(
        (table) =>
          `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS small,
             ADD CONSTRAINT small CHECK (amount < 990) NOT VALID`,
      ),
    letLargeIn: () => change((table) => `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS small`),
    async retryRefused() {
      const groups = await instance.catalog<{ group_id: string }>(
        `SELECT group_id FROM millrace.failure_groups
          WHERE kind = 'destination-rejected' AND open_count > 0`,
      );
      for (const { group_id } of groups) {
        await instance.json(['failed', 'retry', group_id, '--no-wait'], [0, 5]);
      }
      return groups.length;
    },
  };
}
