import { describe, expect, test } from 'vitest';
import type { Evidence, FailedRow, LoadedRow, TableEvidence } from '../../prove/oracle/evidence.ts';
import { judge } from '../../prove/oracle/judge.ts';
import { toJournal, type JournalEntry, type Outcome } from '../../prove/oracle/journal.ts';
import type { Word } from '../../prove/oracle/violations.ts';

/** Two events of an `append` stream, three versions of two rows of a `merge` stream, one bad event. */
const entries: readonly JournalEntry[] = [
  ...sent(1, 'clicks', [
    ['1', 'one'],
    ['2', 'two'],
    ['3', null],
  ]),
  ...sent(2, 'orders', [
    ['7', 'old', '2026-01-01'],
    ['7', 'new', '2026-01-02'],
    ['8', 'only', '2026-01-01'],
  ]),
  { type: 'head', source: 'shop', lane: 'all', head: 'a' },
  { type: 'head', source: 'shop', lane: 'all', head: 'c' },
];

const clicks: TableEvidence = {
  source: 'shop',
  stream: 'clicks',
  table: 'shop.clicks',
  write: 'append',
  rows: [row('1', 'one', 'b1'), row('2', 'two', 'b1')],
};
const orders: TableEvidence = {
  source: 'shop',
  stream: 'orders',
  table: 'shop.orders',
  write: 'merge',
  rows: [row('7', 'new', 'b2'), row('8', 'only', 'b2')],
};

/** What stands there when all is well. */
const sound: Evidence = {
  batches: [batch('b1', 'a', 'b', 3), batch('b2', 'b', 'c', 3)],
  deliveries: [delivery('b1'), delivery('b2')],
  lanes: [{ source: 'shop', lane: 'all', head: 'c' }],
  unplanned: {},
  failed: [failed('3')],
  destinations: {
    warehouse: {
      ledger: [
        ledger('b1', { loaded: 2, failed: 1, tables: { 'shop.clicks': 2 } }),
        ledger('b2', { loaded: 2, superseded: 1, tables: { 'shop.orders': 3 } }),
      ],
      tables: [clicks, orders],
    },
  },
};

const found = (evidence: Evidence, journal = entries) =>
  judge(toJournal(journal), evidence).map(({ word, subject }) => ({ word, subject }));

/** With other rows in one of its tables, and a ledger that counts them. */
function withRows(table: TableEvidence, rows: readonly LoadedRow[]): Evidence {
  const { warehouse } = sound.destinations;
  const tables = [clicks, orders].map((each) => (each === table ? { ...each, rows } : each));
  const list = warehouse?.ledger ?? [];
  const count = rows.filter(({ batchId }) => batchId === 'b1').length;
  const counted = list.map((entry) =>
    table === clicks && entry.batchId === 'b1'
      ? { ...entry, tables: { 'shop.clicks': count } }
      : entry,
  );
  return { ...sound, destinations: { warehouse: { ledger: counted, tables } } };
}

function withLedger(change: (list: Ledger) => Ledger): Evidence {
  const { warehouse } = sound.destinations;
  const list = change(warehouse?.ledger ?? []);
  return { ...sound, destinations: { warehouse: { ledger: list, tables: [clicks, orders] } } };
}

describe('the oracle', () => {
  test('has nothing to say where all is well', () => {
    expect(found(sound)).toEqual([]);
  });

  test.each<{ state: string; evidence: Evidence; word: Word; subject: string }>([
    {
      state: 'an event that is nowhere',
      evidence: withRows(clicks, clicks.rows.slice(0, 1)),
      word: 'lost',
      subject: '2',
    },
    {
      state: 'a failed event that is nowhere',
      evidence: { ...sound, failed: [] },
      word: 'lost',
      subject: '3',
    },
    {
      state: 'a row of a merge table that is gone',
      evidence: withRows(orders, orders.rows.slice(0, 1)),
      word: 'lost',
      subject: '8',
    },
    {
      state: 'a settled batch that the ledger does not have',
      evidence: {
        ...sound,
        batches: [
          ...sound.batches.slice(0, 1),
          batch('b3', 'b', 'b', 0),
          ...sound.batches.slice(1),
        ],
        deliveries: [...sound.deliveries, delivery('b3')],
      },
      word: 'lost',
      subject: 'b3',
    },
    {
      state: 'a ledger that counts fewer events than were read',
      evidence: withLedger((list) => list.map((entry) => ({ ...entry, failed: 0 }))),
      word: 'lost',
      subject: 'b1',
    },
    {
      state: 'an event twice in a table',
      evidence: withRows(clicks, [...clicks.rows, row('2', 'two', 'b1')]),
      word: 'duplicate',
      subject: '2',
    },
    {
      state: 'an event that is loaded and failed',
      evidence: { ...sound, failed: [...sound.failed, failed('2', 'two')] },
      word: 'duplicate',
      subject: '2',
    },
    {
      state: 'a bad event that was made to fit and waits too',
      evidence: withRows(clicks, [...clicks.rows, row('3', 'mended', 'b1')]),
      word: 'duplicate',
      subject: '3',
    },
    {
      state: 'two records of one failure',
      evidence: { ...sound, failed: [failed('3'), failed('3')] },
      word: 'duplicate',
      subject: '3',
    },
    {
      state: 'two rows of one key',
      evidence: withRows(orders, [...orders.rows, row('8', 'only', 'b2')]),
      word: 'duplicate',
      subject: '8',
    },
    {
      state: 'rows without a row in the ledger',
      evidence: withRows(clicks, [row('1', 'one', 'b1'), row('2', 'two', 'b9')]),
      word: 'torn',
      subject: 'b9',
    },
    {
      state: 'fewer rows than the ledger says',
      evidence: withLedger((list) =>
        list.map((entry) => ({ ...entry, tables: { ...entry.tables, 'shop.clicks': 5 } })),
      ),
      word: 'torn',
      subject: 'b1',
    },
    {
      state: 'an older version of a row',
      evidence: withRows(orders, [row('7', 'old', 'b2'), row('8', 'only', 'b2')]),
      word: 'stale',
      subject: '7',
    },
    {
      state: 'a row that nobody sent',
      evidence: withRows(clicks, [...clicks.rows, row('99', 'other', 'b1')]),
      word: 'phantom',
      subject: '99',
    },
    {
      state: 'a row of a merge table that nobody sent',
      evidence: withRows(orders, [...orders.rows, row('99', 'other', 'b2')]),
      word: 'phantom',
      subject: '99',
    },
    {
      state: 'a row that says what nobody sent',
      evidence: withRows(clicks, [...clicks.rows.slice(0, 1), row('2', 'changed', 'b1')]),
      word: 'phantom',
      subject: '2',
    },
    {
      state: 'a failed event with other bytes',
      evidence: { ...sound, failed: [...sound.failed, { ...failed('3'), sha256: 'changed' }] },
      word: 'phantom',
      subject: 'changed',
    },
    {
      state: 'a batch that was never planned',
      evidence: withLedger((list) => [...list, ledger('b9', {})]),
      word: 'phantom',
      subject: 'b9',
    },
    {
      state: 'an event that is still on its way',
      evidence: { ...withRows(clicks, clicks.rows.slice(0, 1)), unplanned: { shop: 1 } },
      word: 'unseen',
      subject: '2',
    },
    {
      state: 'a good event that waits as failed',
      evidence: {
        ...withRows(clicks, clicks.rows.slice(0, 1)),
        failed: [failed('3'), failed('2', 'two')],
      },
      word: 'unseen',
      subject: '2',
    },
    {
      state: 'a gap between two batches',
      evidence: { ...sound, batches: [batch('b1', 'a', 'a2', 3), batch('b2', 'b', 'c', 3)] },
      word: 'non-monotonic',
      subject: 'b1',
    },
    {
      state: 'a head that is not where the plan ends',
      evidence: { ...sound, lanes: [{ source: 'shop', lane: 'all', head: 'd' }] },
      word: 'non-monotonic',
      subject: 'b2',
    },
  ])('calls $state by its word: $word', ({ evidence, word, subject }) => {
    expect(found(evidence)).toContainEqual({ word, subject });
  });

  test('calls a head that went back non-monotonic', () => {
    const back = [...entries, { type: 'head', source: 'shop', lane: 'all', head: 'b' } as const];
    expect(found(sound, back)).toEqual([{ word: 'non-monotonic', subject: 'all' }]);
  });

  test('takes what was sent and never answered as there or not there, but once', () => {
    const more = (outcome: Outcome) => [...entries, ...sent(3, 'clicks', [['4', 'four']], outcome)];
    const there = withRows(clicks, [...clicks.rows, row('4', 'four', 'b1')]);
    expect(found(sound, more('unknown'))).toEqual([]);
    expect(found(there, more('unknown')).filter(({ subject }) => subject === '4')).toEqual([]);
    const twice = withRows(clicks, [
      ...clicks.rows,
      ...there.destinations['warehouse']!.tables[0]!.rows.slice(2),
      row('4', 'four', 'b1'),
    ]);
    expect(found(twice, more('unknown'))).toContainEqual({ word: 'duplicate', subject: '4' });
    expect(found(there, more('failed'))).toContainEqual({ word: 'phantom', subject: '4' });
    expect(found(sound, more('ok'))).toContainEqual({ word: 'lost', subject: '4' });
  });

  test('lets a bad version of a row go where a backfill met a newer one, and nowhere else', () => {
    const bad = (version: string) => [...entries, ...sent(3, 'orders', [['7', null, version]])];
    const readAgain = (lane: string): Evidence => ({
      ...sound,
      batches: [...sound.batches, { ...batch('b4', 'a', 'b', 0), lane, run: 'backfill/again' }],
      destinations: {
        warehouse: {
          ...sound.destinations['warehouse']!,
          ledger: [...sound.destinations['warehouse']!.ledger, ledger('b4', {})],
        },
      },
    });
    const again = readAgain('orders.ndjson');
    const lost = [{ word: 'lost', subject: '7' }];
    expect(found(sound, bad('2026-01-01'))).toEqual(lost);
    expect(found(again, bad('2026-01-01'))).toEqual([]);
    expect(found(again, bad('2026-01-03'))).toEqual(lost);
    expect(found(readAgain('clicks.ndjson'), bad('2026-01-01'))).toEqual(lost);
  });

  test('wants one of two contents under one id loaded, and the other kept', () => {
    const both = [...entries, ...sent(3, 'clicks', [['2', 'twin']])];
    expect(found(sound, both)).toContainEqual({ word: 'lost', subject: '2' });
    const conflict = { ...failed('2', 'twin'), kind: 'id-conflict' };
    expect(found({ ...sound, failed: [...sound.failed, conflict] }, both)).toEqual([]);
  });

  test('knows a failed row of a table by what it says: only the product wrote its bytes', () => {
    const asRow = (entry: JournalEntry) =>
      entry.type === 'sent' && entry.request === 3
        ? { ...entry, events: entry.events.map((event) => ({ ...event, sha256: '' })) }
        : entry;
    const rows = [...entries, ...sent(3, 'clicks', [['5', 'five']])].map(asRow);
    expect(found(sound, rows)).toEqual([{ word: 'lost', subject: '5' }]);
    const waits = { ...sound, failed: [...sound.failed, failed('5', 'five')] };
    expect(found(waits, rows)).toEqual([{ word: 'unseen', subject: '5' }]);
    const other = { ...sound, failed: [...sound.failed, failed('5', 'changed')] };
    expect(found(other, rows)).toContainEqual(expect.objectContaining({ word: 'phantom' }));
  });
});

type Ledger = Evidence['destinations'][string]['ledger'];

function sent(
  request: number,
  stream: string,
  events: readonly (readonly [key: string, content: string | null, version?: string])[],
  outcome: Outcome = 'ok',
): readonly JournalEntry[] {
  const list = events.map(([key, content, version]) => ({
    key,
    content,
    sha256: shaOf(key, content),
    ...(version !== undefined && { version }),
  }));
  return [
    { type: 'sent', request, round: 1, source: 'shop', stream, events: list },
    { type: 'answered', request, outcome },
  ];
}

function shaOf(key: string, content: string | null): string {
  return `sha of ${key} ${content}`;
}

function row(key: string, content: string, batchId: string): LoadedRow {
  return { key, content, batchId, eventId: `event-${key}` };
}

function failed(key: string, content: string | null = null): FailedRow {
  const sha256 = shaOf(key, content);
  return {
    destination: 'warehouse',
    source: 'shop',
    stream: 'clicks',
    state: 'open',
    kind: 'type-mismatch',
    sha256,
    declaredSha256: sha256,
    content,
  };
}

function batch(batchId: string, from: string, to: string, events: number) {
  return { batchId, run: 'live', source: 'shop', lane: 'all', from, to, state: 'settled', events };
}

function delivery(batchId: string) {
  return { batchId, destination: 'warehouse', state: 'settled' };
}

function ledger(batchId: string, counts: Partial<Ledger[number]>): Ledger[number] {
  return {
    batchId,
    source: 'shop',
    loaded: 0,
    duplicate: 0,
    superseded: 0,
    failed: 0,
    discarded: 0,
    tables: {},
    ...counts,
  };
}
