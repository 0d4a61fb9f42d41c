import { describe, expect, test } from 'vitest';
import type { Destination } from '../../core/destination.ts';
import type { Mapping } from '../../core/mapping.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  idsOf,
  idsIn,
  mappingOf,
  noSuchDay,
  orderColumns,
  orders,
  signal,
  someOrders,
  type DestinationFixture,
  type Order,
} from './destination-fixture.ts';

const merged: Mapping = { ...mappingOf(orders), merge: { key: ['id'] } };

/** The part of the suite for destinations that is about tables with one row per key. */
export function testMerge(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination, merging`, () => {
    test('keeps of each key the row with the highest version, whatever order they come in', async () => {
      await using fixture = await setUp();
      await using destination = await opened(fixture);
      const versions = ['10', '30', '20', '05', '30', '9'];
      for (const [n, version] of versions.entries()) {
        await load(destination, fixture, { n, list: [{ id: 1, version, note: `n${n}` }] });
      }
      expect(await fixture.rows(orders)).toMatchObject([{ id: '1', note: 'n5', _version: '9' }]);
    });

    test('counts rows that are older than the one that is there, or that came with them', async () => {
      await using fixture = await setUp();
      await using destination = await opened(fixture);
      const list = ['2', '3', '1', '3'].map((version) => ({ id: 7, version, note: version }));
      const row = await load(destination, fixture, { n: 1, list: [...list, { id: 8 }] });
      expect(row).toMatchObject({ rowsLoaded: 2, rowsSuperseded: 3, rowsDuplicate: 0 });
      const again = await load(destination, fixture, { n: 2, list });
      expect(again).toMatchObject({ rowsLoaded: 0, rowsSuperseded: 4 });
      const notes = (await fixture.rows(orders)).map(({ note }) => String(note));
      expect(notes.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['3', 'plain']);
    });

    test('never lets an older row win, however many loads go on at once', async () => {
      await using fixture = await setUp();
      await using destination = await opened(fixture);
      const loads = Array.from({ length: 12 }, (_, n) => {
        const version = String((n * 7) % 12).padStart(2, '0');
        return load(destination, fixture, {
          n,
          list: someOrders(0, 20).map((order) => ({ ...order, version, note: version })),
        });
      });
      await Promise.all(loads);
      const rows = await fixture.rows(orders);
      expect(rows.map(({ note }) => note)).toEqual(Array.from({ length: 20 }, () => '11'));
    });

    test('decides by the declared version first, as the values of its column sort', async () => {
      await using fixture = await setUp();
      const mapping: Mapping = { ...merged, merge: { key: ['id'], version: 'amount' } };
      await using destination = await opened(fixture, mapping);
      const amounts = [
        ['9', 'b'],
        ['10', 'a'],
        ['9.5', 'c'],
        ['10.00', 'b'],
      ] as const;
      for (const [n, [amount, version]] of amounts.entries()) {
        await load(destination, fixture, { n, mapping, list: [{ id: 1, amount, version }] });
      }
      expect(await fixture.rows(orders)).toMatchObject([{ _version: 'b', amount: '10.00' }]);
    });

    test('takes rows whose version is part of their key, new ones and those that come again', async () => {
      await using fixture = await setUp();
      const mapping: Mapping = { ...merged, merge: { key: ['id'], version: 'id' } };
      await using destination = await opened(fixture, mapping);
      const first = await load(destination, fixture, { n: 1, mapping, list: someOrders(0, 40) });
      expect(first).toMatchObject({ rowsLoaded: 40, rowsSuperseded: 0 });
      const more = await load(destination, fixture, { n: 2, mapping, list: someOrders(40, 60) });
      expect(more).toMatchObject({ rowsLoaded: 20, rowsSuperseded: 0 });
      const list = [
        ...someOrders(60, 70),
        ...someOrders(30, 50),
        { id: 5, version: '2', note: 'x' },
      ];
      const mixed = await load(destination, fixture, { n: 3, mapping, list });
      expect(mixed).toMatchObject({ rowsLoaded: 11, rowsSuperseded: 20, rowsFailed: 0 });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 70));
      const changed = (await fixture.rows(orders)).filter(({ note }) => note === 'x');
      expect(changed).toMatchObject([{ id: '5', _version: '2' }]);
    });

    test('takes keys of several fields', async () => {
      await using fixture = await setUp();
      const mapping: Mapping = { ...merged, merge: { key: ['note', 'id'] } };
      await using destination = await opened(fixture, mapping);
      const list = ['a', 'b', 'a'].map((note, at) => ({ id: 1, note, version: String(at) }));
      await load(destination, fixture, { n: 1, mapping, list });
      const rows = await fixture.rows(orders);
      expect(new Map(rows.map(({ note, _version }) => [note, _version]))).toEqual(
        new Map([
          ['a', '2'],
          ['b', '1'],
        ]),
      );
    });

    test('isolates rows that it refuses, and merges the others', async () => {
      await using fixture = await setUp();
      await using destination = await opened(fixture);
      const list = someOrders(0, 12).map((order) =>
        order.id % 5 === 0 ? { ...order, day: noSuchDay } : order,
      );
      const row = await load(destination, fixture, { n: 1, list });
      expect(row).toMatchObject({ rowsLoaded: 9, rowsFailed: 3, rowsSuperseded: 0 });
      expect(await idsIn(fixture)).toEqual(idsOf(0, 12).filter((id) => Number(id) % 5 !== 0));
    });

    test('leaves nothing of the older row, also where its mapping does not know a column yet', async () => {
      await using fixture = await setUp();
      const { columns } = merged;
      const older: Mapping = { ...merged, columns: columns.filter(({ path }) => path !== 'note') };
      await using destination = await opened(fixture);
      await load(destination, fixture, { n: 1, list: [{ id: 1, version: '1', note: 'old' }] });
      await load(destination, fixture, {
        n: 2,
        mapping: older,
        list: [{ id: 1, version: '2' }],
        laterColumns: ['note', 'not_there_yet'],
      });
      expect(await fixture.rows(orders)).toMatchObject([{ id: '1', _version: '2', note: null }]);
    });

    test('makes the key of a table once, also when its fields come later than others', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.prepare(signal);
      const withoutKey = { ...merged, columns: orderColumns.filter(({ path }) => path !== 'id') };
      const kinds = async (mapping: Mapping) =>
        (await destination.applyMapping(mapping, signal)).map(({ change }) => change.kind);
      expect(await kinds(withoutKey)).not.toContain('add-key');
      expect(await kinds(merged)).toEqual(['add-column', 'add-key']);
      expect(await kinds(merged)).toEqual([]);
    });
  });
}

async function opened(fixture: DestinationFixture, mapping = merged): Promise<Destination> {
  const destination = await fixture.open();
  await destination.prepare(signal);
  await destination.applyMapping(mapping, signal);
  return destination;
}

interface MergedLoad {
  readonly n: number;
  readonly list: readonly Order[];
  readonly mapping?: Mapping;
  readonly laterColumns?: readonly string[];
}

function load(
  destination: Destination,
  fixture: DestinationFixture,
  { n, list, mapping = merged, laterColumns = [] }: MergedLoad,
) {
  const tables = [[orders, list]] as const;
  const options = { batchId: `shop/lane/${n}`, mapping, laterColumns, tables };
  return loadBatch(destination, batchOf(fixture.encoding, options), callbacks);
}
