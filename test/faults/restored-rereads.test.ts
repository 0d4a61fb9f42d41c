import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { startAttempts } from '../support/attempts.ts';
import { takeBackup } from '../support/backups.ts';
import { queryAt } from '../support/postgres-server.ts';
import { startTables, type TablesInstance } from '../support/tables-instance.ts';

/**
 * A catalog from a backup has a batch planned that a ledger has loaded. Where its table changed
 * since, reading it again gives other rows.
 */
test('a batch that the catalog forgot to have loaded, of a table that changed since: recover takes the word of the ledger', async () => {
  await using tables = await startTables();
  await tables.writeAll(50);
  await tables.sync();
  const backup = await backupOfPlan(tables, '1');
  const loaded = await visits(tables);
  await queryAt(tables.sourceUrl, `UPDATE visits SET page = 'changed' WHERE page = 'planned'`);
  await backup.restore();
  await tables.instance.cli('sync'); // whole tables were read again meanwhile: it notices the backup
  const [recovered] = await recover(tables);
  expect(recovered).toMatchObject({ wasHeld: true, settled: 1 });
  await expectNothingStuck(tables);
  expect(await visits(tables)).toEqual(loaded);
});

test('the same with a failed event, and no ledger that has more than the catalog: the lane stops, recover lets it go on', async () => {
  await using tables = await startTables();
  await leaveOutPrices(tables);
  await tables.write(50);
  await tables.sync();
  const backup = await backupOfPlan(tables, 'NaN');
  const loaded = await visits(tables);
  await queryAt(tables.sourceUrl, `UPDATE visits SET page = 'changed' WHERE page = 'planned'`);
  await backup.restore();
  const { stoppedLanes } = await tables.instance.json<{ stoppedLanes: object[] }>(['sync'], [1]);
  expect(stoppedLanes).toEqual([
    expect.objectContaining({ kind: 'ledger-conflict', message: expect.stringMatching(/recover/) }),
  ]);
  const [recovered] = await recover(tables);
  expect(recovered).toMatchObject({ wasHeld: false, settled: 1, lostFailedEvents: 1 });
  await expectNothingStuck(tables);
  expect(await visits(tables)).toEqual(loaded);
  await queryAt(tables.sourceUrl, `INSERT INTO visits (page) VALUES ('later')`);
  await tables.sync();
  expect((await visits(tables)).length).toBe(loaded.length + 1);
});

/** They are read again as a whole, by batches that an older catalog does not know. */
async function leaveOutPrices({ instance }: TablesInstance): Promise<void> {
  const config = await readFile(join(instance.directory, 'millrace.yaml'), 'utf8');
  await instance.write('millrace.yaml', config.replace('      public.prices:\n', ''));
  await instance.json(['apply']);
}

/** Its catalog has planned what its warehouse then has: 21 rows, or 20 and a failed event. */
async function backupOfPlan(tables: TablesInstance, last: '1' | 'NaN') {
  const { instance, sourceUrl } = tables;
  const worker = await instance.pidOf('worker');
  process.kill(worker, 'SIGSTOP');
  await queryAt(
    sourceUrl,
    `INSERT INTO visits (page, seconds) SELECT 'planned', n FROM generate_series(1, 20) n
     UNION ALL SELECT 'planned', '${last}'::float8`,
  );
  {
    await using planner = await startAttempts(instance);
    await planner.run('plan shop');
  }
  const backup = await takeBackup(instance.urls.catalogUrl);
  process.kill(worker, 'SIGCONT');
  await tables.sync([0, 5]);
  return backup;
}

const visits = ({ instance }: TablesInstance) =>
  instance.warehouse('SELECT id, page, _batch_id FROM shop.visits ORDER BY id');

async function recover({ instance }: TablesInstance) {
  return (await instance.json<RecoveryAnswer>(['recover'])).sources;
}

async function expectNothingStuck(tables: TablesInstance): Promise<void> {
  await tables.sync();
  const stuck = `SELECT batch_id FROM millrace.deliveries WHERE state <> 'settled'`;
  expect(await tables.instance.catalog(stuck)).toEqual([]);
}
