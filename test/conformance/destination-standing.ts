import { describe, expect, test } from 'vitest';
import type { Destination, LedgerRow } from '../../core/destination.ts';
import type { Mapping } from '../../core/mapping.ts';
import type {
  BatchToLoad,
  LoadCallbacks,
  MarkedEvents,
} from '../../pipeline/batches/batch-to-load.ts';
import { hashFailures } from '../../pipeline/batches/failures-hash.ts';
import { loadBatch, rehearseBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  idsIn,
  idsOf,
  mappingOf,
  markRows,
  noSuchDay,
  orderColumns,
  orders,
  prepared,
  signal,
  someOrders,
  type DestinationFixture,
  type EventId,
  type Order,
} from './destination-fixture.ts';

const merged: Mapping = { ...mappingOf(orders), merge: { key: ['id'] } };
const idsOnly: Mapping = mappingOf(orders, []);
const failuresOf = (list: readonly Order[]) => list.map(({ id }) => ({ ordinal: id, child: 0 }));

/** The part of the suite for destinations that is about events which come again and fail. */
export function testStanding(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination, asked for events that come again and fail`, () => {
    test('counts those that are in the table as duplicates, not as failed', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const failed = [{ id: 3 }, { id: 20 }, { id: 9 }];
      const { row, resent } = await loadAgain(destination, fixture, { failed });
      expect(row).toMatchObject({ rowsLoaded: 2, rowsDuplicate: 3, rowsFailed: 1 });
      expect(row.failedSha256).toBe(hashFailures([{ ordinal: 20, child: 0 }]));
      expect(resent).toEqual([3, 9]);
      expect(await idsIn(fixture)).toEqual([...idsOf(0, 10), '30', '31']);
    });

    test('counts rows that it refuses so too', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const list = [{ id: 4, day: noSuchDay }, { id: 21, day: noSuchDay }, { id: 22 }];
      const { row, resent } = await loadAgain(destination, fixture, { list });
      expect(row).toMatchObject({ rowsLoaded: 1, rowsDuplicate: 1, rowsFailed: 1 });
      expect(row.failedSha256).toBe(hashFailures([{ ordinal: 21, child: 0 }]));
      expect(resent).toEqual([4]);
    });

    test('lets an event fail whose id another one has', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const ids: readonly EventId[] = someOrders(0, 10).map(({ id }) => [`order/${id}`, 'one', id]);
      await loadBatch(destination, batchOf(fixture.encoding, { ids }), callbacks);
      const { row, resent } = await loadAgain(destination, fixture, {
        failed: [{ id: 5 }, { id: 6 }],
        list: [],
        ids: [
          ['order/5', 'another', 5],
          ['order/6', 'one', 6],
        ],
      });
      expect(row).toMatchObject({ rowsDuplicate: 1, rowsFailed: 1 });
      expect(resent).toEqual([6]);
    });

    test('counts those as superseded whose key has a row that is not older', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.prepare(signal);
      await destination.applyMapping(merged, signal);
      const standing = ['1', '2', '3'].map((version, id) => ({ id, version }));
      const tables = [[orders, standing]] as const;
      await loadBatch(
        destination,
        batchOf(fixture.encoding, { tables, mapping: merged }),
        callbacks,
      );
      const failed = [
        { id: 0, version: '2' },
        { id: 1, version: '2' },
        { id: 2, version: '2' },
        { id: 7, version: '2' },
      ];
      const again = { failed, mapping: merged, marked: keysOf(merged), list: [] };
      const { row, resent } = await loadAgain(destination, fixture, again);
      expect(row).toMatchObject({ rowsLoaded: 0, rowsSuperseded: 2, rowsFailed: 2 });
      expect(resent).toEqual([1, 2]);
    });

    test('decides by the declared version first, and passes over what it refuses', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      const mapping: Mapping = { ...merged, merge: { key: ['id'], version: 'day' } };
      await destination.prepare(signal);
      await destination.applyMapping(mapping, signal);
      const standing = someOrders(0, 4).map((order) => ({ ...order, day: '2021-02-20' }));
      const tables = [[orders, standing]] as const;
      await loadBatch(destination, batchOf(fixture.encoding, { tables, mapping }), callbacks);
      const failed = [
        { id: 0, day: '2021-02-21' },
        { id: 1, day: noSuchDay },
        { id: 2, day: '2021-02-19' },
        { id: 3, day: '2021-02-20' },
      ];
      const again = { failed, mapping, marked: keysOf(mapping), list: [] };
      const { row, resent } = await loadAgain(destination, fixture, again);
      expect(row).toMatchObject({ rowsSuperseded: 2, rowsFailed: 2 });
      expect(resent).toEqual([2, 3]);
    });
  });

  describe(`${name} as a destination, told that failed events are lost`, () => {
    test('takes those for new that a batch did not load, and no others', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, sentBatch(fixture, 1, [{ id: 1, content: 'x' }]), callbacks);
      const lost = [
        { id: 1, content: 'y' }, // in conflict
        { id: 2, content: 'x', day: noSuchDay }, // refused
        { id: 3, content: 'x' },
      ];
      const second = sentBatch(fixture, 2, lost);
      const row = await loadBatch(destination, second, callbacks);
      expect(row).toMatchObject({ rowsLoaded: 1, rowsFailed: 2 });
      const before = await loadBatch(destination, sentBatch(fixture, 3, lost), callbacks);
      expect(before).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 3, rowsFailed: 0 });
      await destination.forgetFailed(second.request.claim.batchId, signal);
      await destination.forgetFailed(second.request.claim.batchId, signal);
      const again = sentBatch(fixture, 4, [...lost, { id: 1, content: 'x' }]);
      const heard = await listen((to) => loadBatch(destination, again, to));
      expect(heard.refused).toEqual([0, 1]);
      const [last] = await destination.readLedger([again.request.claim.batchId], signal);
      expect(last).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 2, rowsFailed: 2 });
    });
  });

  describe(`${name} as a destination with a table that merges`, () => {
    test('does not take a replaced event for a lost one', async () => {
      await using fixture = await setUp();
      await using destination = await fixture.open();
      await destination.prepare(signal);
      await destination.applyMapping(merged, signal);
      const send = (n: number, version: string, content: string) => {
        const batch = batchOf(fixture.encoding, {
          batchId: `app/intake/${n}`,
          mapping: merged,
          tables: [[orders, [{ id: 1, version, note: content }]]],
          ids: [[`order/${content}`, content, 1]],
        });
        return loadBatch(destination, batch, callbacks);
      };
      await send(1, '1', 'old');
      await send(2, '2', 'new');
      await destination.forgetFailed('app/intake/1', signal);
      expect(await send(3, '3', 'old')).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 1 });
      expect(await fixture.rows(orders)).toMatchObject([{ note: 'new' }]);
    });
  });

  describe(`${name} as a destination, rehearsing a load`, () => {
    test('says again which events failed and which came before, and changes nothing', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const first = batchOf(fixture.encoding, {
        batchId: 'app/intake/1',
        tables: [[orders, someOrders(0, 2)]],
        ids: ['a=1', 'b=1'].map(toId),
      });
      await loadBatch(destination, first, callbacks);
      const ids = ['a=2', 'b=1', 'c=1', 'c=1', 'c=2', 'd=1', 'a=3'].map(toId);
      const list = ids.map((_, id) => (id === 5 ? { id, day: noSuchDay } : { id }));
      const second = batchOf(fixture.encoding, {
        batchId: 'app/intake/2',
        tables: [[orders, list]],
        ids,
      });
      const batch = { ...second, failuresBefore: [{ ordinal: 1, child: 0 }] };
      const heard = await listen((to) => loadBatch(destination, batch, to));
      expect(heard).toEqual({ refused: [0, 4, 5, 6], resent: [1] });
      const third = batchOf(fixture.encoding, {
        batchId: 'app/intake/3',
        tables: [[orders, someOrders(0, 2)]],
        ids: ['d=2', 'a=4'].map(toId),
      });
      await loadBatch(destination, third, callbacks);
      const before = [await fixture.rows(orders), await ledgerOf(destination)];
      expect(await listen((to) => rehearseBatch(destination, batch, to))).toEqual(heard);
      expect(await listen((to) => rehearseBatch(destination, batch, to))).toEqual(heard);
      expect([await fixture.rows(orders), await ledgerOf(destination)]).toEqual(before);
    });

    test('finds what failed when it came again as it was then', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await loadBatch(destination, batchOf(fixture.encoding), callbacks);
      const again = { failed: [{ id: 3 }, { id: 20 }], list: [{ id: 4 }, { id: 30 }] };
      const batch = batchAgain(fixture, again);
      const heard = await listen((to) => loadBatch(destination, batch, to));
      expect(heard).toEqual({ refused: [], resent: [3] });
      expect(await listen((to) => rehearseBatch(destination, batch, to))).toEqual(heard);
    });
  });
}

/** Events of a source that may send one twice: order `n` with its content. */
function sentBatch(
  { encoding }: DestinationFixture,
  n: number,
  events: readonly (Order & { readonly content: string })[],
): BatchToLoad {
  const batch = batchOf(encoding, {
    batchId: `app/intake/${n}`,
    tables: [[orders, events]],
    ids: events.map(({ id, content }, at) => [`order/${id}`, content, at]),
  });
  const ordinals = Uint32Array.from(events, (_, at) => at);
  return { ...batch, parts: batch.parts.map((part) => ({ ...part, ordinals })) };
}

interface Again {
  /** Events that mapping parked. */
  readonly failed?: readonly Order[];
  /** Events that it let through. */
  readonly list?: readonly Order[];
  readonly ids?: readonly EventId[];
  readonly mapping?: Mapping;
  /** What can be read of the events that fail; by default their ids. */
  readonly marked?: Mapping;
}

function batchAgain(
  { encoding }: DestinationFixture,
  { failed = [], list = [{ id: 4 }, { id: 30 }, { id: 31 }], marked = idsOnly, ...again }: Again,
): BatchToLoad {
  const options = { batchId: 'backfill/one/shop/lane/1..2', write: 'append-absent' } as const;
  const batch = batchOf(encoding, { ...options, ...again, tables: [[orders, list]] });
  const known = new Map([...failed, ...list].map((order) => [order.id, order]));
  const mark = async (ordinals: ReadonlySet<number>): Promise<readonly MarkedEvents[]> => {
    const events = [...ordinals].flatMap((ordinal) => known.get(ordinal) ?? []);
    return [
      {
        rows: markRows(encoding, marked, events),
        ordinals: new Map(events.map(({ id }) => [`order/${id}`, [id]])),
      },
    ];
  };
  return { ...batch, failuresBefore: failuresOf(failed), mark };
}

async function loadAgain(destination: Destination, fixture: DestinationFixture, again: Again) {
  const resent: number[] = [];
  const row = await loadBatch(destination, batchAgain(fixture, again), {
    ...callbacks,
    onResentFailures: async (ordinals) => void resent.push(...ordinals),
  });
  return { row, resent: resent.toSorted((a, b) => a - b) };
}

async function listen(work: (to: LoadCallbacks) => Promise<LedgerRow | void>) {
  const [refused, resent]: [number[], number[]] = [[], []];
  await work({
    ...callbacks,
    onRefused: async (failures) => void refused.push(...failures.map(({ ordinal }) => ordinal)),
    onResentFailures: async (ordinals) => void resent.push(...ordinals),
  });
  return { refused: refused.toSorted((a, b) => a - b), resent: resent.toSorted((a, b) => a - b) };
}

function keysOf(mapping: Mapping): Mapping {
  const wanted = [...(mapping.merge?.key ?? []), mapping.merge?.version];
  return { ...mapping, columns: orderColumns.filter(({ path }) => wanted.includes(path)) };
}

const toId = (id: string, at: number): EventId => [...(id.split('=') as [string, string]), at];

const ledgerOf = (destination: Destination) =>
  destination.pageLedger({ source: 'shop', after: '', limit: 10 }, signal);
