import { describe, expect, test } from 'vitest';
import type { CopyResult } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';
import { hashFailures } from '../../pipeline/batches/failures-hash.ts';
import type { BatchToLoad } from '../../pipeline/batches/batch-to-load.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import { testEventIds } from './destination-ids.ts';
import { testStanding } from './destination-standing.ts';
import { testLedger } from './destination-ledger.ts';
import { testMerge } from './destination-merge.ts';
import { testReplace } from './destination-replace.ts';
import { testTables } from './destination-tables.ts';
import {
  signal,
  orders,
  visits,
  orderColumns,
  noSuchDay,
  someOrders,
  callbacks,
  idsOf,
  mappingOf,
  batchOf,
  hangingRows,
  begin,
  prepared,
  idsIn,
  failingRead,
  type DestinationFixture,
} from './destination-fixture.ts';

/** What `core/destination.ts` promises, for every kind of warehouse. */
export function testDestination(name: string, setUp: () => Promise<DestinationFixture>): void {
  testTables(name, setUp);
  testMerge(name, setUp);
  testReplace(name, setUp);
  testEventIds(name, setUp);
  testStanding(name, setUp);
  testLedger(name, setUp);

  describe(`${name} as a destination, loading`, () => {
    test('brings every row with its values, its event id and its batch id', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const list = [
        { id: 1, amount: '12345678901234567890.000000000000000001', day: '0001-01-01' },
        { id: 2, amount: null, day: null, note: null },
        { id: 3, note: '' },
        { id: 4, note: 'tab\t newline\n return\r back\\slash \\N "quotes" \u2028 ümläut 🚰' },
        { id: 5, note: 'null' },
      ];
      await loadBatch(
        destination,
        batchOf(fixture.encoding, { tables: [[orders, list]] }),
        callbacks,
      );
      const rows = new Map((await fixture.rows(orders)).map((row) => [row.id, row]));
      for (const { id, amount = '1.50', day = '2021-02-28', note = 'plain' } of list) {
        const row = { amount, day, note, _event_id: `order/${id}`, _batch_id: 'shop/lane/1..2' };
        expect(rows.get(String(id))).toMatchObject(row);
        expect(rows.get(String(id))?._loaded_at).toMatch(/^\d{4}-/);
      }
    });

    test('takes the same batch twice and has its rows once', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const first = await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const again = batchOf(fixture.encoding, { attempt: 'two' });
      expect(await loadBatch(destination, again, callbacks)).toEqual(first);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('takes one batch from two at once and has its rows once', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await using elsewhere = await fixture.open();
      const attempts = [destination, elsewhere, destination, elsewhere].map((to, at) =>
        loadBatch(to, batchOf(fixture.encoding, { attempt: `n${at}` }), callbacks),
      );
      const [first, ...others] = await Promise.all(attempts);
      for (const other of others) expect(other).toEqual(first);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('loads several batches of one table at once', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const loads = [0, 1, 2, 3].map((n) => {
        const tables = [[orders, someOrders(n * 10, n * 10 + 10)]] as const;
        return loadBatch(
          destination,
          batchOf(fixture.encoding, { batchId: `b${n}`, tables }),
          callbacks,
        );
      });
      await Promise.all(loads);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 40));
    });

    test('finds the batch in the ledger when the answer to COMMIT was lost', async () => {
      await using fixture = await setUp();
      await (await prepared(fixture))[Symbol.asyncDispose]();
      await using lossy = await fixture.openLosingCommit();
      await expect(loadBatch(lossy, batchOf(fixture.encoding), callbacks)).rejects.toMatchObject({
        kind: 'destination-unavailable',
      });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10)); // it did commit
      await using destination = await fixture.open();
      const again = batchOf(fixture.encoding, { attempt: 'two' });
      const row = await loadBatch(destination, again, callbacks);
      expect(row).toMatchObject({ loadAttempt: 'load-one', rowsLoaded: 10 });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('refuses other content under a batch id that is loaded', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const other = batchOf(fixture.encoding, { extractSha256: 'def' });
      await expect(loadBatch(destination, other, callbacks)).rejects.toMatchObject({
        kind: 'ledger-conflict',
      });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('puts the tables of a batch in place together, or none', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture, [orders, visits]);
      const tables = [
        [orders, someOrders(0, 4)],
        [visits, someOrders(0, 3)],
      ] as const;
      const batch = batchOf(fixture.encoding, { tables });
      const broken = {
        ...(batch.parts[1] as BatchToLoad['parts'][number]),
        rows: { ...(batch.parts[1] as BatchToLoad['parts'][number]).rows, read: failingRead },
      };
      const parts = [batch.parts[0] as BatchToLoad['parts'][number], broken];
      await expect(loadBatch(destination, { ...batch, parts }, callbacks)).rejects.toThrow();
      expect(await idsIn(fixture)).toEqual([]);
      const row = await loadBatch(destination, batch, callbacks);
      expect(row.tables).toEqual({ 'shop.orders': 4, 'shop.visits': 3 });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 4));
      expect(await idsIn(fixture, visits)).toEqual(idsOf(0, 3));
    });

    test('inserts only absent events where it is told to', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const tables = [[orders, someOrders(5, 15)]] as const;
      const options = { batchId: 'restream/r/1', write: 'append-absent', tables } as const;
      const row = await loadBatch(destination, batchOf(fixture.encoding, options), callbacks);
      expect(row).toMatchObject({ rowsLoaded: 5, rowsDuplicate: 5 });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 15));
    });

    test('says that the table is not as it was mapped, and leaves nothing', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const columns = orderColumns.map((column) =>
        column.column === 'note' ? { ...column, column: 'remark' } : column,
      );
      const batch = batchOf(fixture.encoding, { mapping: mappingOf(orders, columns) });
      await expect(loadBatch(destination, batch, callbacks)).rejects.toMatchObject({
        kind: 'pin-outdated',
      });
      expect(await destination.readLedger([batch.request.claim.batchId], signal)).toEqual([]);
    });
  });

  describe(`${name} as a destination, refusing rows`, () => {
    const bad = new Set([0, 3, 7, 8, 19]);
    const mixed = someOrders(0, 20).map((order) =>
      bad.has(order.id) ? { ...order, day: noSuchDay } : order,
    );

    test.each(['append', 'append-absent'] as const)(
      'isolates exactly those that it refuses (%s): the others load, and the ledger counts both',
      async (write) => {
        await using fixture = await setUp();
        await using destination = await prepared(fixture);
        const refused: EventFailure[] = [];
        const onRefused = async (failures: readonly EventFailure[]) => {
          expect(await idsIn(fixture)).toEqual([]); // told before anything is visible
          refused.push(...failures);
        };
        const batch = batchOf(fixture.encoding, { write, tables: [[orders, mixed]] });
        const row = await loadBatch(destination, batch, { ...callbacks, onRefused });
        expect(refused.map(({ ordinal }) => ordinal).toSorted((a, b) => a - b)).toEqual([...bad]);
        for (const failure of refused) {
          expect(failure.sqlState).toMatch(/^[0-9A-Z]{5}$/);
          expect(failure.message).not.toContain(noSuchDay);
        }
        expect(row).toMatchObject({ rowsLoaded: 15, rowsFailed: 5 });
        expect(row.failedSha256).toBe(
          hashFailures([...bad].map((ordinal) => ({ ordinal, child: 0 }))),
        );
        expect(await idsIn(fixture)).toEqual(idsOf(0, 20).filter((id) => !bad.has(Number(id))));
      },
    );

    test('keeps nothing of a copy that is refused, and goes on', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = batchOf(fixture.encoding, { tables: [[orders, mixed]] });
      const { load, rows } = await begin(destination, batch);
      const answers: CopyResult[] = [];
      for (const [from, to] of [
        [0, 20],
        [1, 3],
        [3, 4],
        [4, 7],
      ] as const) {
        answers.push(await load.copy(rows, from, to));
      }
      expect(answers.map(({ ok }) => ok)).toEqual([false, true, false, true]);
      expect(answers[2]).toMatchObject({ sqlState: '22008' });
      await load.conclude({
        rowsLoaded: 5,
        rowsDuplicate: 0,
        rowsSuperseded: 0,
        rowsFailed: 0,
        rowsDiscarded: 0,
        failedSha256: '',
        tables: { 'shop.orders': 5 },
      });
      await load.commit();
      await load[Symbol.asyncDispose]();
      expect(await idsIn(fixture)).toEqual(['1', '2', '4', '5', '6']);
    });

    test.each([
      ['all of which it refuses', mixed.filter(({ id }) => bad.has(id)), 5],
      ['of no rows', [], 0],
    ] as const)('writes a batch %s into the ledger', async (_what, list, rowsFailed) => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = batchOf(fixture.encoding, { tables: [[orders, list]] });
      const row = await loadBatch(destination, batch, callbacks);
      expect(row).toMatchObject({ rowsLoaded: 0, rowsFailed });
      expect(await destination.readLedger([row.batchId], signal)).toEqual([row]);
    });
  });

  describe(`${name} as a destination, its ledger`, () => {
    test('is read back as it was concluded, for the batches that are asked for', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const one = await loadBatch(
        destination,
        batchOf(fixture.encoding, { batchId: 'a' }),
        callbacks,
      );
      await loadBatch(destination, batchOf(fixture.encoding, { batchId: 'b' }), callbacks);
      expect(await destination.readLedger(['a', 'missing'], signal)).toEqual([one]);
      expect(one).toMatchObject({
        batchId: 'a',
        source: 'shop',
        lane: 'lane',
        from: '1',
        to: '2',
        extractSha256: 'abc',
        mapAttempt: 'map-one',
        loadAttempt: 'load-one',
        rowsLoaded: 10,
        tables: { 'shop.orders': 10 },
        mappingVersions: { orders: 1 },
      });
    });

    test('knows installations and destinations apart', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = batchOf(fixture.encoding);
      await loadBatch(destination, batch, callbacks);
      for (const identity of [{ installation: 'another' }, { name: 'another' }]) {
        await using other = await fixture.open(identity);
        expect(await other.readLedger([batch.request.claim.batchId], signal)).toEqual([]);
      }
    });
  });

  describe(`${name} as a destination, interrupted`, () => {
    test('has nothing of a load that is left without commit, and takes it again', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = batchOf(fixture.encoding);
      const { load, rows } = await begin(destination, batch);
      await load.copy(rows, 0, rows.rowCount);
      await load[Symbol.asyncDispose]();
      expect(await idsIn(fixture)).toEqual([]);
      expect(await destination.readLedger([batch.request.claim.batchId], signal)).toEqual([]);
      await loadBatch(destination, batch, callbacks);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('has nothing of a load that is aborted while rows are under way, and takes it again', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const abort = new AbortController();
      const reason = new Error('told to stop');
      const batch = batchOf(fixture.encoding, { signal: abort.signal });
      const { load, rows } = await begin(destination, batch);
      const hanging = hangingRows(rows);
      const copying = load.copy(hanging.rows, 0, rows.rowCount);
      await hanging.asked;
      abort.abort(reason);
      hanging.let();
      await expect(copying).rejects.toBe(reason);
      await load[Symbol.asyncDispose]();
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('ends an older attempt that hangs, which then changes nothing', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await using elsewhere = await fixture.open();
      const { load, rows } = await begin(elsewhere, batchOf(fixture.encoding, { attempt: 'old' }));
      const hanging = hangingRows(rows);
      const copying = load.copy(hanging.rows, 0, rows.rowCount);
      const ended = expect(copying).rejects.toMatchObject({ kind: 'destination-unavailable' });
      await hanging.asked;
      const young = batchOf(fixture.encoding, { attempt: 'young', fenceTimeoutMs: 300 });
      const row = await loadBatch(destination, young, callbacks);
      expect(row.loadAttempt).toBe('load-young');
      hanging.let();
      await ended;
      await load[Symbol.asyncDispose]();
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('passes its check while it can be reached, and names the fault when it cannot', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.check(signal);
      await using away = await fixture.openAway();
      await expect(away.check(signal)).rejects.toMatchObject({ kind: 'destination-unavailable' });
      await expect(away.beginLoad(batchOf(fixture.encoding).request)).rejects.toMatchObject({
        kind: 'destination-unavailable',
      });
    });
  });
}
