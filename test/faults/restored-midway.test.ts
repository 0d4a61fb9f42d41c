import { expect, test } from 'vitest';
import { startAttempts } from '../support/attempts.ts';
import { takeBackup } from '../support/backups.ts';
import { armFailpoint } from '../support/failpoints.ts';
import { holdLedger } from '../support/held-ledger.ts';
import { startOrders } from '../support/orders-instance.ts';
import { queryAt } from '../support/postgres-server.ts';
import { startTables } from '../support/tables-instance.ts';
import { until } from '../support/until.ts';

/** The workflow of a batch has come further than the catalog that it finds. */
test.each([
  ['extract-staged', 'knows of no extract'],
  ['manifest-stored', 'knows of no pinned mapping'],
] as const)(
  'a catalog from a backup taken at %s, while loads of that batch go on: it %s, all is loaded once',
  async (point, _what) => {
    await using orders = await startOrders();
    const { instance } = orders;
    const { catalogUrl, destinations, home } = instance.urls;
    const armed = await armFailpoint(home, `${point}=delay:6s`);
    await orders.addOrders(400);
    const syncing = instance.cli('sync');
    await armed.untilFired();
    const backup = await takeBackup(catalogUrl);
    const names = ['warehouse', 'second'] as const;
    const held = await Promise.all(names.map((name) => holdLedger(destinations[name] ?? '')));
    const waiting = async () =>
      (await Promise.all(held.map((one) => one.waiting()))).every(Boolean);
    await until('both loads to wait', waiting);
    process.kill(await instance.pidOf('worker'), 'SIGKILL');
    await backup.restore();
    await Promise.all(held.map((one) => one.letGo()));
    await syncing;
    await orders.sync();
    await orders.audit();
    const stuck = `SELECT FROM millrace.deliveries WHERE state <> 'settled'`;
    expect(await instance.catalog(stuck)).toEqual([]);
  },
  120_000,
);

test('a catalog that has a batch on the typed road again, whose failed events a ledger counts: they are found again', async () => {
  await using tables = await startTables();
  const { instance, sourceUrl } = tables;
  await tables.writeAll(500);
  await tables.sync();
  process.kill(await instance.pidOf('worker'), 'SIGSTOP');
  await queryAt(sourceUrl, `INSERT INTO visits (page, seconds) VALUES ('bad', 'NaN')`);
  {
    await using planner = await startAttempts(instance);
    await planner.run('plan shop');
  }
  const backup = await takeBackup(instance.urls.catalogUrl);
  process.kill(await instance.pidOf('worker'), 'SIGCONT');
  await tables.sync([5]);
  const failed = () => instance.catalog('SELECT stream, kind, state FROM millrace.failed_events');
  const expected = await failed();
  expect(expected).toEqual([{ stream: 'visits', kind: 'type-mismatch', state: 'open' }]);
  await backup.restore();
  await instance.cli('sync'); // whole tables were read again meanwhile: it notices the backup
  await instance.json(['recover']);
  await tables.sync([5]);
  expect(await failed()).toEqual(expected);
  await queryAt(sourceUrl, `DELETE FROM visits WHERE page = 'bad'`);
  await tables.audit();
}, 120_000);
