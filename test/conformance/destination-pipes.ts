import { describe, expect, test } from 'vitest';
import type { CopiedRows, Destination } from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import { loadTyped, type TypedBatch } from '../../pipeline/batches/load-typed.ts';
import {
  batchOf,
  callbacks,
  idsIn,
  idsOf,
  mappingOf,
  noSuchDay,
  orders,
  prepared,
  signal,
  someOrders,
  type DestinationFixture,
  type Order,
} from './destination-fixture.ts';

/**
 * What `core/destination.ts` promises of `pipe`, for destinations whose module declares
 * `copyFormats`. Its row encoding is the format.
 */
export function testPipes(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination of whole rows`, () => {
    test('takes them in, counts them, and finds them in its ledger the next time', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = piped(fixture, someOrders(0, 10));
      const row = await load(destination, batch);
      expect(row).toMatchObject({ rowsLoaded: 10, rowsFailed: 0, tables: { 'shop.orders': 10 } });
      expect(row.extractSha256).toBe('');
      expect(await load(destination, piped(fixture, someOrders(50, 60)))).toEqual(row);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
    });

    test('refuses a row as an answer; nothing of the batch stays', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const rows = [...someOrders(0, 5), { id: 5, day: noSuchDay }, ...someOrders(6, 9)];
      await expect(load(destination, piped(fixture, rows))).rejects.toMatchObject({
        kind: 'needs-staging',
      });
      expect(await idsIn(fixture)).toEqual([]);
      expect(await destination.readLedger(['shop/lane/1..2'], signal)).toEqual([]);
      // The staged road goes on from there, in the same session.
      const staged = batchOf(fixture.encoding, { tables: [[orders, rows]] });
      expect(await loadBatch(destination, staged, callbacks)).toMatchObject({ rowsFailed: 1 });
    });

    test('passes on why its source broke off; nothing of the batch stays', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = piped(fixture, someOrders(0, 10));
      const fault = new PipelineError('source-unavailable', 'it is gone');
      const failing: CopiedRows['read'] = async function* () {
        yield* batch.rows.read();
        throw fault;
      };
      const broken = { ...batch, rows: { ...batch.rows, read: failing } };
      await expect(load(destination, broken)).rejects.toBe(fault);
      expect(await idsIn(fixture)).toEqual([]);
      expect(await load(destination, batch)).toMatchObject({ rowsLoaded: 10 });
    });

    test('does not believe a source that sent another number of rows than arrived', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const batch = piped(fixture, someOrders(0, 10));
      const short: CopiedRows['read'] = async function* () {
        yield* batch.rows.read();
        return 11;
      };
      const wrong = { ...batch, rows: { ...batch.rows, read: short } };
      await expect(load(destination, wrong)).rejects.toMatchObject({ kind: 'source-unavailable' });
      expect(await idsIn(fixture)).toEqual([]);
    });

    test('lets only one of several attempts in, and finds what the lost answer to COMMIT said', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const lossy = await fixture.openLosingCommit();
      const batch = piped(fixture, someOrders(0, 10));
      await expect(load(lossy, batch)).rejects.toMatchObject({ kind: 'destination-unavailable' });
      const rows = await Promise.all([1, 2, 3].map(() => load(destination, batch)));
      expect(rows.map(({ rowsLoaded }) => rowsLoaded)).toEqual([10, 10, 10]);
      expect(await idsIn(fixture)).toEqual(idsOf(0, 10));
      await lossy[Symbol.asyncDispose]();
    });

    test('merges by version, and says what was older', async () => {
      await using fixture = await setUp();
      const mapping: Mapping = { ...mappingOf(orders), merge: { key: ['id'] } };
      await using destination = await prepared(fixture, []);
      await destination.applyMapping(mapping, signal);
      const versions = (version: string, from: number, to: number) =>
        someOrders(from, to).map((order) => ({ ...order, version }));
      await load(destination, piped(fixture, versions('2', 0, 4), { mapping }));
      const mixed = [...versions('1', 0, 2), ...versions('3', 2, 6)];
      const row = await load(
        destination,
        piped(fixture, mixed, { mapping, batchId: 'shop/lane/2..3' }),
      );
      expect(row).toMatchObject({ rowsLoaded: 4, rowsSuperseded: 2 });
      const found = (await fixture.rows(orders)).map(({ id, _version: v }) => `${id}: ${v}`);
      expect(found.toSorted()).toEqual(['0: 2', '1: 2', '2: 3', '3: 3', '4: 3', '5: 3']);
    });
  });
}

function load(destination: Destination, batch: TypedBatch) {
  return loadTyped(destination, batch, callbacks);
}

function piped(
  { encoding }: DestinationFixture,
  list: readonly Order[],
  options: { readonly mapping?: Mapping; readonly batchId?: string } = {},
): TypedBatch {
  const { request, parts } = batchOf(encoding, {
    tables: [[orders, list]],
    extractSha256: '',
    ...options,
  });
  const [part] = parts as [(typeof parts)[number]];
  const { rowCount } = part.rows;
  const read: CopiedRows['read'] = async function* () {
    yield* part.rows.read(0, rowCount);
    return rowCount;
  };
  return { request, rows: { ...part.rows, format: 'postgres-text', read } };
}
