import { expect, test } from 'vitest';
import { takeBackup } from '../support/backups.ts';
import { armFailpoint } from '../support/failpoints.ts';
import { holdLedger } from '../support/held-ledger.ts';
import { startOrders } from '../support/orders-instance.ts';
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
