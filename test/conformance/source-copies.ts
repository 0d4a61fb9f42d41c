import { describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import { defaultRecordLimits, eventIdOf, recordCount, versionOf } from '../../core/records.ts';
import type { CopyContext, ReplayableSource } from '../../core/source.ts';
import type { SourceFixture } from './source-suite.ts';

const { signal } = new AbortController();

export interface CopyingFixture extends SourceFixture {
  /** A merge mapping of a lane's columns as they are declared. */
  mappingOf(source: ReplayableSource, lane: string): Promise<Mapping>;
}

/** What `core/source.ts` promises of `copyRows`, for sources whose module declares `copyFormats`. */
export function testCopies(name: string, setUp: () => Promise<CopyingFixture>): void {
  describe(`${name} as a source of whole rows`, () => {
    test('copies the events that it reads, under their ids and versions, and says how many', async () => {
      await using fixture = await setUp();
      await fixture.add('one', -3, 20);
      const { source, range, context } = await planOne(fixture);
      const copied = await copy(source.copyRows(range, context));
      const read: string[] = [];
      const reading = { signal, limits: defaultRecordLimits, lane: context.lane };
      for await (const block of source.read(range, reading)) {
        for (let at = 0; at < recordCount(block); at += 1) {
          read.push([eventIdOf(block, at), context.batchId, versionOf(block, at)].join('\t'));
        }
      }
      const names = copied.rows.map((row) => row.split('\t').slice(0, 3).join('\t'));
      expect(names.toSorted()).toEqual(read.toSorted());
      expect(copied.count).toBe(23);
    });

    test('copies a range twice at once, for whoever asks', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 20);
      const { source, range, context } = await planOne(fixture);
      const [one, other] = await Promise.all([
        copy(source.copyRows(range, context)),
        copy((fixture.open() as Copying).copyRows(range, context)),
      ]);
      expect(one.rows.toSorted()).toEqual(other.rows.toSorted());
    });

    test('says that a range is no longer there', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const { range, context } = await planOne(fixture);
      await fixture.drop('one');
      const source = fixture.open() as Copying;
      await expect(copy(source.copyRows(range, context))).rejects.toMatchObject({
        kind: 'extract-lost',
      });
    });

    test('leaves a table whose columns are not those of the mapping to the staged road', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const { source, range, context } = await planOne(fixture);
      const { mapping } = context;
      const fewer = { ...context, mapping: { ...mapping, columns: mapping.columns.slice(1) } };
      await expect(copy(source.copyRows(range, fewer))).rejects.toMatchObject({
        kind: 'needs-staging',
      });
    });

    test('stops when it is told to, and when nobody wants more', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const { source, range, context } = await planOne(fixture);
      const reason = new Error('told to stop');
      const told = { ...context, signal: AbortSignal.abort(reason) };
      await expect(copy(source.copyRows(range, told))).rejects.toBe(reason);
      const rows = source.copyRows(range, context);
      await rows.next();
      await rows.return(0);
      expect((await copy(source.copyRows(range, context))).count).toBe(3);
    });

    test('names the fault when it cannot be reached', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const { source, range, context } = await planOne(fixture);
      await fixture.goAway();
      await expect(copy(source.copyRows(range, context))).rejects.toMatchObject({
        kind: 'source-unavailable',
      });
    });
  });
}

type Copying = ReplayableSource & Required<Pick<ReplayableSource, 'copyRows'>>;

async function planOne(fixture: CopyingFixture) {
  const source = fixture.open() as Copying;
  const [lane] = await source.lanes([], signal);
  const { name, start } = must(lane);
  const limits = { maxBytes: 2 ** 30, maxRecords: 2 ** 30, maxRanges: 1 };
  const { ranges, memo } = await source.plan(must(lane), start, limits, signal);
  const context: CopyContext = {
    format: 'postgres-text',
    mapping: await fixture.mappingOf(source, name),
    batchId: 'shop/one/batch',
    lane: { name, memo },
    signal,
  };
  return { source, range: must(ranges[0]), context };
}

async function copy(rows: AsyncGenerator<Uint8Array, number>) {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await rows.next();
    if (!done) chunks.push(value);
    else return { count: value, rows: Buffer.concat(chunks).toString().split('\n').slice(0, -1) };
  }
}
