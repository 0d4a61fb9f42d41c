import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  CopyResult,
  Destination,
  EncodedRows,
  LedgerRow,
  LoadRequest,
  LoadTransaction,
  TakenIds,
} from '../../../../core/destination.ts';
import type { EventFailure } from '../../../../core/failed-events.ts';
import type { Mapping } from '../../../../core/mapping.ts';
import { hashFailures } from '../../../../pipeline/batches/failures-hash.ts';
import { copyIsolating } from '../../../../pipeline/batches/isolate-rows.ts';
import type { BatchToLoad } from '../../../../pipeline/batches/batch-to-load.ts';
import { loadBatch } from '../../../../pipeline/batches/load-batch.ts';

const mapping: Mapping = {
  source: 's',
  stream: 't',
  destination: 'w',
  version: 1,
  table: { schema: 's', name: 't' },
  columns: [{ path: 'a.b', column: 'a_b', type: 'int64', by: 'automapper' }],
  extra: false,
};

const claim = {
  batchId: 'b',
  source: 's',
  lane: 'l',
  from: '0',
  to: '9',
  extractSha256: 'e',
  mapAttempt: 'm',
  loadAttempt: 'l',
  mappingVersions: { t: 1 },
};

const request: LoadRequest = {
  claim,
  tables: [{ ...mapping.table, alone: false }],
  write: 'append',
  fenceTimeoutMs: 1,
  signal: new AbortController().signal,
};

const rowsOf = (rowCount: number): EncodedRows => ({
  mapping,
  rowCount,
  without: ({ size }) => rowsOf(rowCount - size),
  laterColumns: async () => [],
  async *read() {
    yield new Uint8Array(0);
  },
});

interface FakeOptions {
  /** Rows that the table refuses, by index. */
  readonly refused?: ReadonlySet<number>;
  /** Whether it says which one. */
  readonly names?: boolean;
  readonly standing?: LedgerRow;
  readonly taken?: TakenIds;
}

/** A destination in memory that notes the calls and refuses some rows. */
function fakeDestination({ refused = new Set(), names = true, standing, taken }: FakeOptions = {}) {
  const calls: string[] = [];
  const loaded: number[] = [];
  const copy = async (_rows: EncodedRows, from: number, to: number): Promise<CopyResult> => {
    calls.push('copy');
    for (let row = from; row < to; row += 1) {
      if (!refused.has(row)) continue;
      const why = { ok: false as const, sqlState: '23514', message: `row ${row}`, column: 'a_b' };
      return names ? { ...why, row } : why;
    }
    for (let row = from; row < to; row += 1) loaded.push(row);
    return { ok: true, loaded: to - from, duplicate: 0, superseded: 0 };
  };
  const transaction: LoadTransaction = {
    fence: async () => void calls.push('fence'),
    lockTables: async () => void calls.push('lock'),
    claim: async () => {
      calls.push('claim');
      return standing ?? null;
    },
    holdTables: async () => void calls.push('hold'),
    takeIds: async () => {
      calls.push('ids');
      return taken ?? { duplicates: [], conflicts: [] };
    },
    newestLoaded: async () => null,
    clear: async () => void calls.push('clear'),
    copy,
    findStanding: async () => [],
    takeBack: async () => void calls.push('take back'),
    conclude: async (counts) => {
      calls.push('conclude');
      return { ...claim, ...counts, loadedAt: '' };
    },
    commit: async () => void calls.push('commit'),
    [Symbol.asyncDispose]: async () => void calls.push('dispose'),
  };
  const destination = { beginLoad: async () => transaction } as unknown as Destination;
  return { destination, transaction, calls, loaded };
}

describe('isolating refused rows', () => {
  test('finds exactly the refused rows and loads all others once, named or not', async () => {
    const law = fc.asyncProperty(
      fc.integer({ min: 0, max: 80 }),
      fc.array(fc.nat({ max: 79 })),
      fc.boolean(),
      async (count, bad, names) => {
        const refused = new Set(bad.filter((row) => row < count));
        const { transaction, loaded } = fakeDestination({ refused, names });
        const result = await copyIsolating(transaction, rowsOf(count));
        const good = Array.from({ length: count }, (_, row) => row).filter(
          (row) => !refused.has(row),
        );
        expect(loaded).toEqual(good);
        expect(result.loaded).toBe(good.length);
        expect(result.refused.map(({ row }) => row)).toEqual(
          [...refused].toSorted((a, b) => a - b),
        );
        for (const { row, message } of result.refused) expect(message).toBe(`row ${row}`);
      },
    );
    await fc.assert(law, { numRuns: 200 });
  });

  const copiesFor = async (options: FakeOptions, count: number) => {
    const { transaction, calls } = fakeDestination(options);
    await copyIsolating(transaction, rowsOf(count));
    return calls.length;
  };

  test('costs one copy where nothing is refused, and one a row where everything is', async () => {
    expect(await copiesFor({}, 100_000)).toBe(1);
    const all = new Set(Array.from({ length: 5_000 }, (_, row) => row));
    expect(await copiesFor({ refused: all }, 5_000)).toBeLessThan(5_010);
    expect(await copiesFor({ refused: all, names: false }, 5_000)).toBeLessThan(5_030);
  });

  test('costs a few copies for one row among many', async () => {
    const one = new Set([77_777]);
    expect(await copiesFor({ refused: one }, 100_000)).toBeLessThan(20);
    expect(await copiesFor({ refused: one, names: false }, 100_000)).toBeLessThan(60);
  });
});

describe('loading a batch', () => {
  const batch: BatchToLoad = {
    request,
    parts: [{ rows: rowsOf(3), ordinals: Uint32Array.of(4, 6, 9) }],
    failuresBefore: [{ ordinal: 5, child: 0 }],
    eventIds: null,
    generations: null,
  };
  const quiet = {
    onRefused: async () => undefined,
    onResentFailures: async () => undefined,
    onProgress: () => undefined,
  };

  test('goes fence, locks, claim, rows, counts, commit', async () => {
    const { destination, calls } = fakeDestination();
    const row = await loadBatch(destination, batch, quiet);
    expect(calls).toEqual([
      'fence',
      'lock',
      'claim',
      'hold',
      'copy',
      'conclude',
      'commit',
      'dispose',
    ]);
    expect(row).toMatchObject({ rowsLoaded: 3, rowsFailed: 1, tables: { 's.t': 3 } });
    expect(row.failedSha256).toBe(hashFailures([{ ordinal: 5, child: 0 }]));
  });

  test('stores what was refused, with the event it was, before it commits', async () => {
    const { destination, calls } = fakeDestination({ refused: new Set([1]) });
    const stored: unknown[] = [];
    const row = await loadBatch(destination, batch, {
      ...quiet,
      onRefused: async (failures) => {
        stored.push(...failures);
        calls.push('stored');
      },
    });
    expect(stored).toMatchObject([
      {
        ordinal: 6,
        stage: 'load',
        kind: 'destination-rejected',
        field: 'a.b',
        expected: 'int64',
        sqlState: '23514',
      },
    ]);
    expect(calls.indexOf('stored')).toBeLessThan(calls.indexOf('conclude'));
    expect(row).toMatchObject({ rowsLoaded: 2, rowsFailed: 2 });
    expect(row.failedSha256).toBe(
      hashFailures([
        { ordinal: 6, child: 0 },
        { ordinal: 5, child: 0 },
      ]),
    );
  });

  describe('of a source that may send an event twice', () => {
    const eventIds = { async *read() {} };
    const sent: BatchToLoad = {
      ...batch,
      eventIds,
      parts: [{ rows: rowsOf(4), ordinals: Uint32Array.of(0, 2, 3, 7) }],
      failuresBefore: [1, 5, 6].map((ordinal) => ({ ordinal, child: 0 })),
    };

    test('leaves out what came before, parks what has another’s id, and takes failures back', async () => {
      const taken = { duplicates: [0, 5], conflicts: [3, 6] };
      const { destination, calls, loaded } = fakeDestination({ taken });
      const [refused, resent]: [EventFailure[], number[]] = [[], []];
      const row = await loadBatch(destination, sent, {
        ...quiet,
        onRefused: async (failures) => void refused.push(...failures),
        onResentFailures: async (ordinals) => void resent.push(...ordinals),
      });
      expect(calls.slice(0, 5)).toEqual(['fence', 'lock', 'claim', 'hold', 'ids']);
      expect(loaded).toHaveLength(2);
      expect(resent).toEqual([5]);
      expect(refused).toMatchObject([{ ordinal: 3, kind: 'id-conflict', stage: 'load' }]);
      expect(row).toMatchObject({ rowsLoaded: 2, rowsDuplicate: 2, rowsFailed: 3 });
      const failed = [1, 3, 6].map((ordinal) => ({ ordinal, child: 0 }));
      expect(row.failedSha256).toBe(hashFailures(failed));
    });

    test('gives a refused row its own event, also behind rows that were left out', async () => {
      const taken = { duplicates: [0, 2], conflicts: [] };
      const { destination } = fakeDestination({ taken, refused: new Set([1]) });
      const refused: EventFailure[] = [];
      await loadBatch(destination, sent, {
        ...quiet,
        onRefused: async (failures) => void refused.push(...failures),
      });
      expect(refused.map(({ ordinal }) => ordinal)).toEqual([7]);
    });
  });

  test('does not commit what it could not store', async () => {
    const { destination, calls } = fakeDestination({ refused: new Set([1]) });
    const onRefused = () => Promise.reject(new Error('catalog away'));
    await expect(loadBatch(destination, batch, { ...quiet, onRefused })).rejects.toThrow(
      'catalog away',
    );
    expect(calls).not.toContain('commit');
    expect(calls.at(-1)).toBe('dispose');
  });

  const standing: LedgerRow = {
    ...claim,
    rowsLoaded: 3,
    rowsDuplicate: 0,
    rowsSuperseded: 0,
    rowsFailed: 0,
    rowsDiscarded: 0,
    failedSha256: '',
    tables: {},
    loadedAt: '',
  };

  test('leaves a batch alone that the ledger has, whichever attempt it was', async () => {
    for (const row of [standing, { ...standing, extractSha256: '', loadAttempt: 'other' }]) {
      const { destination, calls } = fakeDestination({ standing: row });
      expect(await loadBatch(destination, batch, quiet)).toBe(row);
      expect(calls).toEqual(['fence', 'lock', 'claim', 'dispose']);
    }
  });

  test('stops where the ledger has other content under this id', async () => {
    for (const other of [{ extractSha256: 'x' }, { from: '1' }, { to: '8' }]) {
      const { destination, calls } = fakeDestination({ standing: { ...standing, ...other } });
      await expect(loadBatch(destination, batch, quiet)).rejects.toMatchObject({
        kind: 'ledger-conflict',
      });
      expect(calls).not.toContain('copy');
    }
  });
});
