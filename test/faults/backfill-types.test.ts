import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../support/backups.ts';
import { queryAt } from '../support/postgres-server.ts';
import { startTables, type TablesInstance } from '../support/tables-instance.ts';
import { until } from '../support/until.ts';
import { variants } from '../support/variants.ts';

/** Rows that are in the source and not in the table: the mapping refuses them by now. */
const gone = 30;
const rows = 300;

interface Backfill {
  readonly rowsLoaded: number;
  readonly rowsDuplicate: number;
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
}

let shop: TablesInstance;
const streams = ['visits', 'orders'] as const;

beforeAll(async () => {
  shop = await startTables();
  await shop.write(rows);
  await shop.sync();
  // From here on these are strings: columns of numbers take none of them.
  await queryAt(
    shop.sourceUrl,
    'ALTER TABLE visits ALTER seconds TYPE text; ALTER TABLE orders ALTER amount TYPE text',
  );
  for (const stream of streams) {
    await shop.instance.warehouse(`DELETE FROM shop.${stream} WHERE id % 10 = 0`);
  }
}, 120_000);
afterAll(() => shop?.[Symbol.asyncDispose]());

const resync = (stream: string) =>
  shop.instance.json<Backfill>(['backfill', 'shop', '--stream', stream], [5]);

/** Every event is in its table or a failed one, never in both and never in none. */
async function expectOnePlace(stream: string): Promise<void> {
  const loaded = await shop.instance.warehouse<{ id: string }>(
    `SELECT _event_id AS id FROM shop.${stream}`,
  );
  const failed = await shop.instance.catalog<{ id: string }>(
    `SELECT event_id AS id FROM millrace.failed_events
      WHERE source = 'shop' AND stream = $1 AND state = 'open'`,
    [stream],
  );
  expect({ loaded: loaded.length, failed: failed.length }).toEqual({
    loaded: rows - gone,
    failed: gone,
  });
  expect(new Set([...loaded, ...failed].map(({ id }) => id)).size).toBe(rows);
}

describe('a backfill after the type of a column was changed at its source', () => {
  test.each(streams)(
    'leaves each event of %s in one place, and counts it there',
    async (stream) => {
      for (let time = 0; time < 2; time += 1) {
        const result = await resync(stream);
        expect(result).toMatchObject({
          rowsLoaded: 0,
          rowsDuplicate: rows - gone,
          rowsFailed: gone,
        });
        await expectOnePlace(stream);
      }
    },
  );

  const points = ['before-commit', 'commit-unread', 'before-settle', 'settle-middle'] as const;
  test.each(variants(points, ['before-settle']))(
    'does so too when the worker dies at %s',
    async (point) => {
      await shop.arm(point);
      for (const stream of streams) {
        expect(await resync(stream)).toMatchObject({ rowsLoaded: 0, rowsFailed: gone });
        await expectOnePlace(stream);
      }
      expect(shop.hasFired(point)).toBe(true);
    },
  );

  test('finds what failed again where the catalog was restored from before', async () => {
    const { instance } = shop;
    for (const stream of streams) {
      await instance.json(['backfill', 'shop', '--stream', stream, '--no-wait']);
      const backup = await takeBackup(instance.urls.catalogUrl);
      await untilSettled();
      await backup.restore();
      await untilSettled();
      await expectOnePlace(stream);
      const stopped = await instance.catalog(
        `SELECT stop_kind, stop_message FROM millrace.deliveries WHERE state <> 'settled'`,
      );
      expect(stopped).toEqual([]);
    }
  });

  async function untilSettled(): Promise<void> {
    await until(
      'the end of the backfill',
      async () => {
        const [counts] = await shop.instance.catalog<{ running: number }>(
          `SELECT count(*)::int AS running FROM millrace.backfills WHERE state = 'running'`,
        );
        return counts?.running === 0;
      },
      90_000,
    );
  }
});
