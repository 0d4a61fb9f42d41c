import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Staging } from '../../core/staging.ts';

export interface StagingFixture extends AsyncDisposable {
  readonly staging: Staging;
  /** Cuts a staged file, as a damaged disk may. */
  truncate(name: string, bytes: number): Promise<void>;
  /** All that lies where the staged files are, half-written ones too. */
  everything(): Promise<readonly string[]>;
}

async function* chunksOf(...chunks: readonly (Uint8Array | string)[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function read(staging: Staging, name: string, from?: number, to?: number): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(staging.get(name, from, to)));
}

/** What `core/staging.ts` promises, for every place where files can be staged. */
export function testStaging(name: string, setUp: () => Promise<StagingFixture>): void {
  describe(`${name} as staging`, () => {
    test('gives back the bytes that were put, and says their count and hash', async () => {
      await using fixture = await setUp();
      const content = randomBytes(3 * 1024 * 1024 + 17);
      const chunks = chunksOf(content.subarray(0, 5), content.subarray(5, 5), content.subarray(5));
      const file = await fixture.staging.put('extracts/a/one', chunks);
      const sha256 = createHash('sha256').update(content).digest('hex');
      expect(file).toEqual({ name: 'extracts/a/one', bytes: content.length, sha256 });
      expect((await read(fixture.staging, 'extracts/a/one')).equals(content)).toBe(true);
    });

    test('keeps an empty file', async () => {
      await using fixture = await setUp();
      expect((await fixture.staging.put('a/empty', chunksOf())).bytes).toBe(0);
      expect(await read(fixture.staging, 'a/empty')).toHaveLength(0);
    });

    test('gives part of a file', async () => {
      await using fixture = await setUp();
      await fixture.staging.put('a/digits', chunksOf('01234', '56789'));
      const parts = [await read(fixture.staging, 'a/digits', 3, 7)];
      parts.push(await read(fixture.staging, 'a/digits', 8));
      parts.push(await read(fixture.staging, 'a/digits', 4, 4));
      expect(parts.map(String)).toEqual(['3456', '89', '']);
    });

    test('never writes over a file that is there', async () => {
      await using fixture = await setUp();
      await fixture.staging.put('a/one', chunksOf('first'));
      await expect(fixture.staging.put('a/one', chunksOf('second'))).rejects.toMatchObject({
        kind: 'conflict',
      });
      expect((await read(fixture.staging, 'a/one')).toString()).toBe('first');
    });

    test('lets exactly one of many at once put a name', async () => {
      await using fixture = await setUp();
      const puts = Array.from({ length: 20 }, (_, n) =>
        fixture.staging.put('a/one', chunksOf(`put ${n}`)),
      );
      const results = await Promise.allSettled(puts);
      const won = results.flatMap((result, n) => (result.status === 'fulfilled' ? [n] : []));
      expect(won).toHaveLength(1);
      expect((await read(fixture.staging, 'a/one')).toString()).toBe(`put ${won[0]}`);
    });

    test('shows nothing of a file before all of it is there', async () => {
      await using fixture = await setUp();
      const written = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      async function* slowly() {
        yield Buffer.from('first half, ');
        written.resolve();
        await go.promise;
        yield Buffer.from('second half');
      }
      const putting = fixture.staging.put('a/slow', slowly());
      await written.promise;
      await expect(read(fixture.staging, 'a/slow')).rejects.toMatchObject({ kind: 'extract-lost' });
      go.resolve();
      await putting;
      expect((await read(fixture.staging, 'a/slow')).toString()).toBe('first half, second half');
    });

    test('leaves nothing of a file whose content broke off, and takes its name again', async () => {
      await using fixture = await setUp();
      const reason = new Error('the source went away');
      async function* broken() {
        yield Buffer.from('first half');
        throw reason;
      }
      await expect(fixture.staging.put('a/one', broken())).rejects.toBe(reason);
      expect(await fixture.everything()).toEqual([]);
      await fixture.staging.put('a/one', chunksOf('whole'));
      expect((await read(fixture.staging, 'a/one')).toString()).toBe('whole');
    });

    test('says that a file is gone, or shorter than it was', async () => {
      await using fixture = await setUp();
      const lost = { kind: 'extract-lost' };
      await expect(read(fixture.staging, 'a/none')).rejects.toMatchObject(lost);
      await fixture.staging.put('a/one', chunksOf('0123456789'));
      await fixture.truncate('a/one', 4);
      await expect(read(fixture.staging, 'a/one', 0, 10)).rejects.toMatchObject(lost);
      await expect(read(fixture.staging, 'a/one', 6, 8)).rejects.toMatchObject(lost);
    });

    test('deletes what is below a name and nothing else; nothing there is fine', async () => {
      await using fixture = await setUp();
      for (const name of ['a/1/x', 'a/1/y', 'a/10/x', 'b/x']) {
        await fixture.staging.put(name, chunksOf(name));
      }
      await fixture.staging.delete('a/1');
      await fixture.staging.delete('a/1');
      await expect(read(fixture.staging, 'a/1/x')).rejects.toMatchObject({ kind: 'extract-lost' });
      expect((await read(fixture.staging, 'a/10/x')).toString()).toBe('a/10/x');
      expect((await read(fixture.staging, 'b/x')).toString()).toBe('b/x');
    });

    test('lists the names below a prefix with their bytes and their last change', async () => {
      await using fixture = await setUp();
      const before = Date.now();
      await fixture.staging.put('a/1/x', chunksOf('123'));
      await fixture.staging.put('a/1/deep/y', chunksOf('4567'));
      await fixture.staging.put('a/2', chunksOf('89'));
      const listed = await fixture.staging.list('a');
      const sizes = new Map(listed.map((entry) => [entry.name, entry.bytes]));
      expect(sizes).toEqual(
        new Map([
          ['1', 7],
          ['2', 2],
        ]),
      );
      for (const { changedAt } of listed) expect(changedAt).toBeGreaterThan(before - 5_000);
      expect(await fixture.staging.list('nothing')).toEqual([]);
    });

    test.each(['../x', 'a/../../x', 'a/../b', '..', '.', '', 'a/..', '/../x'])(
      'refuses the name %j: names stay inside',
      async (outside) => {
        await using fixture = await setUp();
        const refused = { kind: 'invalid-request' };
        const { staging } = fixture;
        await expect((async () => staging.put(outside, chunksOf('x')))()).rejects.toMatchObject(
          refused,
        );
        await expect((async () => read(staging, outside))()).rejects.toMatchObject(refused);
        await expect((async () => staging.delete(outside))()).rejects.toMatchObject(refused);
      },
    );

    test('says how many bytes are free', async () => {
      await using fixture = await setUp();
      expect(await fixture.staging.freeBytes()).toBeGreaterThan(0);
    });
  });
}
