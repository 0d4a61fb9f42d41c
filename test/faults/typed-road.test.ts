import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAttempts } from '../support/attempts.ts';
import { queryAt } from '../support/postgres-server.ts';
import { startTables, type TablesInstance } from '../support/tables-instance.ts';
import { variants } from '../support/variants.ts';

/** The points that a batch passes on the typed road, in the order of its life. */
const ofTheRoad = [
  'plan-committed',
  'fence-taken',
  'ledger-inserted',
  'copy-middle',
  'before-commit',
  'commit-unread',
  'before-settle',
  'settle-middle',
] as const;
const toSleepAt = [
  'fence-taken',
  'ledger-inserted',
  'copy-middle',
  'before-commit',
  'commit-unread',
  'before-settle',
] as const;

let tables: TablesInstance;

beforeAll(async () => {
  tables = await startTables();
  await tables.writeAll(3_000);
  await tables.sync();
}, 300_000);

afterAll(() => tables?.[Symbol.asyncDispose]());

test('tables take the typed road from their first batch on, and nothing is staged', async () => {
  await tables.audit();
  const { typed = 0, ...others } = await tables.roads();
  expect(typed).toBeGreaterThan(5);
  expect(others).toEqual({});
  expect(await tables.instance.catalog('SELECT FROM millrace.extracts')).toEqual([]);
  const hashes = await tables.instance.warehouse(
    'SELECT DISTINCT extract_sha256 AS hash FROM _millrace.ledger',
  );
  expect(hashes).toEqual([{ hash: '' }]);
});

describe('kill -9 of the worker on the typed road', () => {
  test.each(variants(ofTheRoad, ['copy-middle', 'commit-unread', 'settle-middle']))(
    'at %s loses nothing and doubles nothing',
    async (name) => {
      const before = await tables.instance.pidOf('worker');
      await tables.writeAll(1_500);
      await tables.arm(name);
      await tables.sync();
      expect(tables.hasFired(name)).toBe(true);
      expect(await tables.instance.pidOf('worker')).not.toBe(before);
      expect(Object.keys(await tables.roads())).toEqual(['typed']);
      await tables.audit();
    },
  );

  test('at table-changed, when a column came', async () => {
    await queryAt(tables.sourceUrl, `ALTER TABLE visits ADD gift numeric DEFAULT 1`);
    await tables.writeAll(500);
    await tables.arm('table-changed');
    await tables.sync();
    expect(tables.hasFired('table-changed')).toBe(true);
    expect(Object.keys(await tables.roads())).toEqual(['typed']);
    const [gifts] = await tables.instance.warehouse(
      `SELECT count(*)::int AS n, sum(gift)::text AS sum FROM shop.visits WHERE gift IS NOT NULL`,
    );
    expect(gifts).toEqual({ n: 500, sum: '500' });
    await tables.audit();
  });
});

describe('a value that does not fit', () => {
  test('sends its batch to the staged road, where all others load and it waits for review', async () => {
    await tables.roads();
    await queryAt(tables.sourceUrl, `INSERT INTO visits (page, seconds) VALUES ('bad', 'NaN')`);
    await tables.writeAll(700);
    await tables.sync([5]);
    const roads = await tables.roads();
    expect(roads['staged']).toBe(1);
    const failed = await tables.instance.catalog(
      `SELECT stream, kind, field FROM millrace.failed_events WHERE state = 'open'`,
    );
    expect(failed).toEqual([{ stream: 'visits', kind: 'type-mismatch', field: 'seconds' }]);
    await queryAt(tables.sourceUrl, `DELETE FROM visits WHERE page = 'bad'`);
    await tables.audit();
  });

  test('and kill -9 while it is told there: it still ends on the staged road, once', async () => {
    await tables.instance.warehouse(
      `ALTER TABLE shop.visits ADD CONSTRAINT no_page CHECK (page <> 'refused') NOT VALID`,
    );
    await queryAt(tables.sourceUrl, `INSERT INTO visits (page, seconds) VALUES ('refused', 1)`);
    await tables.writeAll(700);
    await tables.arm('extract-staged');
    await tables.sync([5]);
    expect(tables.hasFired('extract-staged')).toBe(true);
    const failed = await tables.instance.catalog(
      `SELECT kind FROM millrace.failed_events WHERE state = 'open' ORDER BY kind`,
    );
    expect(failed).toEqual([{ kind: 'destination-rejected' }, { kind: 'type-mismatch' }]);
    await queryAt(tables.sourceUrl, `DELETE FROM visits WHERE page = 'refused'`);
    await tables.audit();
  });
});

describe('two attempts at one batch on the typed road', () => {
  test('at once load it once', async () => {
    process.kill(await tables.instance.pidOf('worker'), 'SIGSTOP');
    await using one = await startAttempts(tables.instance);
    await using other = await startAttempts(tables.instance);
    await tables.write(1_000);
    await one.run('plan shop');
    for (const batchId of await openBatches()) {
      const [first, second] = await Promise.all([
        one.run(`batch ${batchId}`),
        other.run(`batch ${batchId}`),
      ]);
      expect(new Set([first.result, second.result].flat())).toEqual(new Set(['settled']));
    }
    await tables.audit();
  });

  const sleepers = variants(toSleepAt, ['copy-middle', 'commit-unread']);
  test.each(sleepers)(
    'one that sleeps from %s on wakes up late and changes nothing',
    async (point) => {
      await using zombie = await startAttempts(tables.instance, { stopAt: point });
      await using other = await startAttempts(tables.instance);
      await tables.write(400);
      await other.run('plan shop');
      const [batchId] = await openBatches();
      const late = zombie.run(`batch ${batchId}`);
      await zombie.untilStopped();
      expect((await other.run(`batch ${batchId}`)).result).toEqual(['settled']);
      zombie.wake();
      expect((await late).result).toEqual(['settled']);
      for (const rest of await openBatches()) await other.run(`batch ${rest}`);
      await tables.audit();
    },
  );
});

async function openBatches(): Promise<readonly string[]> {
  const rows = await tables.instance.catalog<{ batch_id: string }>(
    `SELECT batch_id FROM millrace.batches WHERE state <> 'settled' ORDER BY plan_order`,
  );
  return rows.map(({ batch_id }) => batch_id);
}
