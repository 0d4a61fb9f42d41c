import { describe, expect, test } from 'vitest';
import type { Destination } from '../../core/destination.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  signal,
  orders,
  visits,
  orderColumns,
  callbacks,
  idsOf,
  mappingOf,
  batchOf,
  prepared,
  idsIn,
  type DestinationFixture,
} from './destination-fixture.ts';

/** The part of the suite for destinations that is about the tables themselves. */
export function testTables(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination, its tables`, () => {
    test('are prepared by several at once, and again', async () => {
      await using fixture = await setUp();
      const opened = await Promise.all([fixture.open(), fixture.open(), fixture.open()]);
      await Promise.all(opened.map((destination) => destination.prepare(signal)));
      await opened[0]?.prepare(signal);
      expect(await opened[0]?.readLedger(['none'], signal)).toEqual([]);
      for (const destination of opened) await destination[Symbol.asyncDispose]();
    });

    test('are made once, with the metadata columns before the mapped ones', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.prepare(signal);
      expect(await destination.describeTable(orders, signal)).toBeNull();
      const made = await destination.applyMapping(mappingOf(orders), signal);
      expect(made.map(({ change }) => change.kind)).toContain('create-table');
      expect(await destination.applyMapping(mappingOf(orders), signal)).toEqual([]);
      const columns = await destination.describeTable(orders, signal);
      expect(columns?.map(({ column }) => column)).toEqual(
        ['_event_id', '_batch_id', '_loaded_at'].concat(orderColumns.map(({ column }) => column)),
      );
    });

    test('are brought in step by two at once, without a fault', async () => {
      await using fixture = await setUp();
      await using one = await fixture.open();
      await using two = await fixture.open();
      await one.prepare(signal);
      const apply = (to: Destination) => to.applyMapping(mappingOf(orders), signal);
      const done = await Promise.all([apply(one), apply(two), apply(one), apply(two)]);
      expect(done.filter((changes) => changes.length > 0)).toHaveLength(1);
    });

    test('are another one only after it was said, and never where that is refused', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.prepare(signal);
      const said: string[] = [];
      const refused = destination.applyMapping(mappingOf(orders), signal, {
        changeId: 'refused',
        beforeCommit: async (changes) => {
          said.push(...changes.map(({ change }) => change.kind));
          throw new Error('it cannot be written down');
        },
      });
      await expect(refused).rejects.toThrow('it cannot be written down');
      expect(said).toContain('create-table');
      expect(await destination.describeTable(orders, signal)).toBeNull();
      const order = { changeId: 'made', beforeCommit: async () => undefined };
      await destination.applyMapping(mappingOf(orders), signal, order);
      const never = { changeId: 'never', beforeCommit: () => Promise.reject(new Error('said')) };
      expect(await destination.applyMapping(mappingOf(orders), signal, never)).toEqual([]);
      const asked = ['refused', 'made', 'never'];
      expect(await destination.committedChanges(orders, asked, signal)).toEqual(['made']);
    });

    test('tell whether a change is durable once nothing of it is under way', async () => {
      await using fixture = await setUp();
      await using one = await fixture.open();
      await using other = await fixture.open();
      await one.prepare(signal);
      const [said, let_] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const made = one.applyMapping(mappingOf(orders), signal, {
        changeId: 'made',
        beforeCommit: () => {
          said.resolve();
          return let_.promise;
        },
      });
      await said.promise;
      const asked = other.committedChanges(orders, ['made'], signal);
      expect(await Promise.race([asked, other.readLedger([], signal)])).toEqual([]); // it waits
      let_.resolve();
      expect(await asked).toEqual(['made']);
      await made;
      await using foreign = await fixture.open({ installation: 'another' });
      expect(await foreign.committedChanges(visits, ['made'], signal)).toEqual([]);
    });

    test('get new columns and wider ones, and keep what they hold', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const wider = mappingOf(orders, [
        { path: 'id', column: 'id', type: 'decimal', by: 'automapper' },
        ...orderColumns.slice(1),
        { path: 'city', column: 'city', type: 'text', by: 'automapper' },
      ]);
      const changes = await destination.applyMapping(wider, signal);
      expect(changes.map(({ change }) => change.kind)).toEqual(['add-column', 'widen-column']);
      expect(changes.every(({ statement }) => statement.includes('orders'))).toBe(true);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
      expect((await fixture.rows(orders))[0]).toMatchObject({ city: null, amount: '1.50' });
      expect(await destination.applyMapping(wider, signal)).toEqual([]);
    });

    test('never lose a column, and never get a narrower one', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const before = await destination.describeTable(orders, signal);
      const narrower = mappingOf(orders, [
        { path: 'amount', column: 'amount', type: 'int64', by: 'automapper' },
        { path: 'note', column: 'note', type: 'boolean', by: 'automapper' },
      ]);
      expect(await destination.applyMapping(narrower, signal)).toEqual([]);
      expect(await destination.describeTable(orders, signal)).toEqual(before);
    });

    test('follow a person across families', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const ordered = mappingOf(orders, [
        { path: 'day', column: 'day', type: 'text', by: 'person' },
      ]);
      expect(await destination.applyMapping(ordered, signal)).toHaveLength(1);
      expect((await fixture.rows(orders))[0]).toMatchObject({ day: '2021-02-28' });
    });

    test('take no row that was mapped for other types than they have now', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const ordered = mappingOf(orders, [
        ...orderColumns.slice(0, 3),
        { path: 'note', column: 'note', type: 'int64', by: 'person' },
      ]);
      await destination.applyMapping(ordered, signal);
      const list = [{ id: 1, note: '013' }]; // a bigint column would take it as 13
      const batch = batchOf(fixture.encoding, { tables: [[orders, list]] });
      await expect(loadBatch(destination, batch, callbacks)).rejects.toMatchObject({
        kind: 'pin-outdated',
        message: expect.stringContaining('note') as string,
      });
      expect(await fixture.rows(orders)).toEqual([]);
      expect(await destination.readLedger([batch.request.claim.batchId], signal)).toEqual([]);
    });

    test('take rows that were mapped before a column became wider', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const wider = mappingOf(orders, [
        { path: 'id', column: 'id', type: 'decimal', by: 'automapper' },
        ...orderColumns.slice(1, 2),
        { path: 'day', column: 'day', type: 'text', by: 'person' },
        ...orderColumns.slice(3),
      ]);
      await destination.applyMapping(wider, signal);
      const row = await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      expect(row.rowsLoaded).toBe(10);
      expect((await fixture.rows(orders))[0]).toMatchObject({ day: '2021-02-28' });
    });

    test('that changed meanwhile do not matter to a batch that is loaded already', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = batchOf(fixture.encoding);
      const first = await loadBatch(destination, batch, callbacks);
      const ordered = mappingOf(orders, [
        { path: 'amount', column: 'amount', type: 'json', by: 'person' },
      ]);
      await destination.applyMapping(ordered, signal);
      expect(await loadBatch(destination, batch, callbacks)).toEqual(first);
    });

    test('that another installation loaded are refused, also when they fit already', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      await using foreign = await fixture.open({ installation: 'another' });
      await expect(foreign.applyMapping(mappingOf(orders), signal)).rejects.toMatchObject({
        kind: 'schema-rejected',
        message: expect.stringContaining('shop.orders') as string,
      });
      expect(await foreign.applyMapping(mappingOf(visits), signal)).not.toEqual([]);
      expect(await destination.applyMapping(mappingOf(orders), signal)).toEqual([]);
    });
  });
}
