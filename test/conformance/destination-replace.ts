import { describe, expect, test } from 'vitest';
import type { Mapping } from '../../core/mapping.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  idsIn,
  idsOf,
  mappingOf,
  noSuchDay,
  orders,
  signal,
  someOrders,
  type DestinationFixture,
  type Order,
} from './destination-fixture.ts';

const replaced: Mapping = { ...mappingOf(orders), replace: true };

/** The part of the suite for destinations that is about tables which full refreshes replace. */
export function testReplace(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination, replacing`, () => {
    test('has the rows of the newest refresh and no others, also when it has none', async () => {
      await using opened = await open(setUp);
      const first = await opened.refresh('0001', someOrders(0, 10));
      expect(first).toMatchObject({ rowsLoaded: 10, rowsSuperseded: 0 });
      await opened.refresh('0002', someOrders(5, 12));
      expect(await idsIn(opened.fixture)).toEqual(idsOf(5, 12));
      await opened.refresh('0003', []);
      expect(await idsIn(opened.fixture)).toEqual([]);
    });

    test('lets no late refresh over a newer one', async () => {
      await using opened = await open(setUp);
      await opened.refresh('0002', someOrders(0, 4));
      const late = await opened.refresh('0001', someOrders(10, 20));
      expect(late).toMatchObject({ rowsLoaded: 0, rowsSuperseded: 10 });
      await opened.refresh('0001b', []);
      expect(await idsIn(opened.fixture)).toEqual(idsOf(0, 4));
    });

    test('ends with one of them when several come at once: the newest', async () => {
      await using opened = await open(setUp);
      const loads = ['0003', '0001', '0005', '0002', '0004'].map((generation, at) =>
        opened.refresh(generation, someOrders(at * 100, at * 100 + 20)),
      );
      await Promise.all(loads);
      expect(await idsIn(opened.fixture)).toEqual(idsOf(200, 220));
    });

    test('shows readers a whole refresh at any time', async () => {
      await using opened = await open(setUp);
      await opened.refresh('0000', someOrders(0, 200));
      let going = true;
      const sizes = new Set<number>();
      const reading = (async () => {
        while (going) sizes.add((await idsIn(opened.fixture)).length);
      })();
      for (let n = 1; n <= 5; n += 1) await opened.refresh(`000${n}`, someOrders(0, 200));
      going = false;
      await reading;
      expect([...sizes]).toEqual([200]);
    });

    test('keeps what is there when a refresh is left without commit', async () => {
      await using opened = await open(setUp);
      await opened.refresh('0001', someOrders(0, 5));
      const onProgress = () => {
        throw new Error('left');
      };
      const left = opened.refresh('0002', someOrders(5, 9), { onProgress });
      await expect(left).rejects.toThrow('left');
      expect(await idsIn(opened.fixture)).toEqual(idsOf(0, 5));
    });

    test('isolates rows that it refuses, and has the others of this refresh', async () => {
      await using opened = await open(setUp);
      await opened.refresh('0001', someOrders(0, 5));
      const list = someOrders(0, 9).map((order) =>
        order.id % 4 === 1 ? { ...order, day: noSuchDay } : order,
      );
      const row = await opened.refresh('0002', list);
      expect(row).toMatchObject({ rowsLoaded: 7, rowsFailed: 2 });
      expect(await idsIn(opened.fixture)).toEqual(idsOf(0, 9).filter((id) => Number(id) % 4 !== 1));
    });

    test('takes events of the current refresh again, and none of an older one', async () => {
      await using opened = await open(setUp);
      await opened.refresh('0002', someOrders(0, 5));
      const again = (n: number, generation: string, list: readonly Order[]) => {
        const options = {
          batchId: `restream/${n}`,
          mapping: replaced,
          write: 'append-absent',
        } as const;
        const batch = batchOf(opened.fixture.encoding, { ...options, tables: [[orders, list]] });
        const generations = { lane: 'lane', of: () => generation, whole: false };
        return loadBatch(opened.destination, { ...batch, generations }, callbacks);
      };
      expect(await again(1, '0002', someOrders(4, 7))).toMatchObject({
        rowsLoaded: 2,
        rowsDuplicate: 1,
      });
      expect(await again(2, '0001', someOrders(7, 9))).toMatchObject({
        rowsLoaded: 0,
        rowsSuperseded: 2,
      });
      expect(await idsIn(opened.fixture)).toEqual(idsOf(0, 7));
    });
  });
}

async function open(setUp: () => Promise<DestinationFixture>) {
  const fixture = await setUp();
  const destination = await fixture.open();
  await destination.prepare(signal);
  await destination.applyMapping(replaced, signal);
  return {
    fixture,
    destination,
    refresh(to: string, list: readonly Order[], more: Partial<typeof callbacks> = {}) {
      const tables = [[orders, list]] as const;
      const options = { batchId: `shop/lane/${to}`, mapping: replaced, to, tables };
      return loadBatch(destination, batchOf(fixture.encoding, options), { ...callbacks, ...more });
    },
    async [Symbol.asyncDispose]() {
      await destination[Symbol.asyncDispose]();
      await fixture[Symbol.asyncDispose]();
    },
  };
}
