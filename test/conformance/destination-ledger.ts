import { describe, expect, test } from 'vitest';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  orders,
  mappingOf,
  prepared,
  signal,
  someOrders,
  type DestinationFixture,
} from './destination-fixture.ts';

/** The part of the suite for destinations that is about backups restored. */
export function testLedger(name: string, setUp: () => Promise<DestinationFixture>): void {
  const load = async (fixture: DestinationFixture, batches: readonly [string, string][]) => {
    const destination = await prepared(fixture);
    for (const [batchId, to] of batches) {
      const tables = [[orders, someOrders(0, 1)] as const];
      await loadBatch(destination, batchOf(fixture.encoding, { batchId, to, tables }), callbacks);
    }
    return destination;
  };

  describe(`${name} as a destination, asked for its ledger`, () => {
    test('names of each lane the live batch that reaches furthest', async () => {
      await using fixture = await setUp();
      await using destination = await load(fixture, [
        ['shop/lane/1..3', '3'],
        ['shop/lane/1..2', '2'],
        ['restream/r/1', '9'],
      ]);
      const found = { furthest: [{ lane: 'lane', batchId: 'shop/lane/1..3' }] };
      expect(await destination.surveyLedger({ source: 'shop' }, signal)).toMatchObject(found);
      const lane = { source: 'shop', lane: 'lane' };
      expect(await destination.surveyLedger(lane, signal)).toMatchObject(found);
      const none = { furthest: [] };
      const another = { source: 'shop', lane: 'another' };
      expect(await destination.surveyLedger(another, signal)).toMatchObject(none);
      expect(await destination.surveyLedger({ source: 'sh' }, signal)).toMatchObject(none);
    });

    test('gives its rows page by page', async () => {
      await using fixture = await setUp();
      await using destination = await load(fixture, [
        ['shop/lane/3..4', '4'],
        ['shop/lane/1..2', '2'],
        ['shop/lane/2..3', '3'],
      ]);
      const page = (after: string) =>
        destination.pageLedger({ source: 'shop', after, limit: 2 }, signal);
      const ids = async (after: string) => (await page(after)).map(({ batchId }) => batchId);
      expect(await ids('')).toEqual(['shop/lane/1..2', 'shop/lane/2..3']);
      expect(await ids('shop/lane/2..3')).toEqual(['shop/lane/3..4']);
      expect((await page(''))[0]).toMatchObject({ rowsLoaded: 1, mapAttempt: 'map-one' });
    });

    test('lets another installation take over its rows, and then its tables', async () => {
      await using fixture = await setUp();
      await using first = await load(fixture, [['shop/lane/1..2', '2']]);
      await using heir = await fixture.open({ installation: 'heir' });
      await expect(heir.applyMapping(mappingOf(orders), signal)).rejects.toMatchObject({
        kind: 'schema-rejected',
      });
      const adopt = (dryRun: boolean) => heir.adoptLedger({ sources: ['shop'], dryRun }, signal);
      expect(await heir.adoptLedger({ sources: ['other'], dryRun: false }, signal)).toBe(0);
      expect(await adopt(true)).toBe(1);
      expect(await heir.readLedger(['shop/lane/1..2'], signal)).toHaveLength(0);
      expect(await adopt(false)).toBe(1);
      expect(await adopt(false)).toBe(0);
      expect(await heir.readLedger(['shop/lane/1..2'], signal)).toHaveLength(1);
      expect(await first.readLedger(['shop/lane/1..2'], signal)).toHaveLength(0);
      expect(await heir.applyMapping(mappingOf(orders), signal)).toEqual([]);
    });
  });
}
