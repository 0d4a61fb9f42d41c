import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTemporal, readTemporalSettings } from '../../temporal/client.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { fencedLines, readProjectFile } from '../support/project.ts';
import { openTemporalCli, type TemporalCli } from '../support/temporal-cli.ts';
import { until } from '../support/until.ts';

/** Each test has a stream of its own: its review, its table. `shop` goes to two destinations. */
const config = `
destinations: { warehouse: { type: postgres }, second: { type: postgres } }
sources:
  plant:
    type: file
    streams:
      probes: { path: data/probes-*.ndjson }
      valves: { path: data/valves-*.ndjson }
      meters: { path: data/meters-*.ndjson }
      gauges: { path: data/gauges-*.ndjson }
      pumps: { path: data/pumps-*.ndjson }
      tanks: { path: data/tanks-*.ndjson }
  shop: { type: file, streams: { orders: { path: data/orders-*.ndjson } } }
pipelines:
  plant: { source: plant, destinations: [warehouse] }
  shop: { source: shop, destinations: [warehouse, second] }
`;

interface Listed {
  readonly execution: { readonly workflowId: string; readonly runId: string };
}

let instance: TestInstance;
let temporal: TemporalCli;

beforeAll(async () => {
  instance = await startInstance({ config });
  temporal = openTemporalCli(instance);
}, 120_000);

afterAll(async () => instance[Symbol.asyncDispose](), 60_000);

describe('with nothing but the temporal CLI', () => {
  test('an engineer finds the waiting review, reads what failed, and signals retry after mapping set', async () => {
    await load('plant', 'probes-1', rows(60));
    await load('plant', 'probes-2', [...rows(10, 100), ...poison(3, 200)]);
    const list = await until('the review in the list', async () => {
      const text = await temporal.text('workflow', 'list', '--query', 'MillraceReview="waiting"');
      return text.includes('reviewFailures') && text;
    });
    const id = await waitingReview('probes');
    expect(list).toContain(id);

    const described = await temporal.text('workflow', 'describe', '--workflow-id', id);
    expect(described).toContain('plant.probes → warehouse: 3 failed events, value: text where');
    expect(described).toMatch(/signal `retry` \(no input\)/);
    const metadata = await temporal.text('workflow', 'metadata', '--workflow-id', id);
    expect(metadata).toContain('**3 failed events** wait for a decision');
    expect(metadata).toContain('plant.probes → warehouse');
    expect(metadata).toContain('kind `type-mismatch`, field `value`');
    expect(metadata).toContain('expected decimal, observed text');
    expect(metadata).toContain('data/probes-2.ndjson');
    expect(metadata).toContain('| 11 |'); // the first bad line
    expect(metadata).toMatch(/retry\s+Restream the open events/);
    expect(described + metadata).not.toContain('broken'); // a value stays in the catalog

    await mapToText('plant', 'probes');
    await signalRetry(id);
    await closed(id);
    expect(await loaded('plant', 'probes')).toEqual({ rows: 73, events: 73, inLedger: 73 });
    const values = await instance.warehouse<{ value: string }>(
      `SELECT value FROM plant.probes WHERE id >= 200 ORDER BY id`,
    );
    expect(values.map(({ value }) => value)).toEqual(['broken 0', 'broken 1', 'broken 2']);
    expect(await recordsOf('probes')).toEqual([{ state: 'resolved', attempts: 1, records: 3 }]);
    const resolved = 'MillraceReview="resolved" AND MillraceStream="probes" AND MillraceParked=0';
    expect(await until('the resolved review', () => oneOf(resolved))).toBe(id);
  });

  test('the commands of the how-to page work as they are written', async () => {
    await load('plant', 'pumps-1', rows(60));
    await load('plant', 'pumps-2', poison(1, 100));
    const id = await waitingReview('pumps');
    await mapToText('plant', 'pumps');
    const page = readProjectFile('docs/how-to/review-failed-events.md');
    const commands = fencedLines(page, '').filter((line) => line.startsWith('temporal '));
    expect(commands).toHaveLength(4);
    for (const command of commands) {
      const words = command.replaceAll('review/<group>', id).match(/'[^']*'|\S+/g) ?? [];
      await temporal.text(...words.slice(1).map((word) => word.replaceAll("'", '')));
    }
    await closed(id);
    expect(await loaded('plant', 'pumps')).toEqual({ rows: 61, events: 61, inLedger: 61 });
  });

  test('a field whose name is data, long and odd, has a review like any other', async () => {
    const name = `a|b\n# ${'x'.repeat(30_000)}`;
    const withName = (value: unknown) => (_: unknown, n: number) => ({ id: n, [name]: value });
    await load('plant', 'tanks-1', Array.from({ length: 60 }, withName(0.5)));
    await load('plant', 'tanks-2', Array.from({ length: 2 }, withName('broken')));
    const id = await waitingReview('tanks');
    const metadata = await temporal.text('workflow', 'metadata', '--workflow-id', id);
    expect(metadata).toContain('**2 failed events** wait for a decision');
    expect(metadata.length).toBeLessThan(4_000);
    expect(metadata.match(/^\| plant\/data.* a\\\|b # x+….* expected \|$/gm)).toHaveLength(2);
    const described = await temporal.text('workflow', 'describe', '--workflow-id', id);
    expect(described).toMatch(/2 failed events, a\|b # xxx/);
  });

  test('signalling twice changes nothing, neither at once nor after the review is resolved', async () => {
    await load('plant', 'valves-1', rows(60));
    await load('plant', 'valves-2', poison(5, 100));
    const id = await waitingReview('valves');
    await mapToText('plant', 'valves');
    await Promise.all([signalRetry(id), signalRetry(id), signalRetry(id)]);
    await closed(id);
    const once = { rows: 65, events: 65, inLedger: 65 };
    expect(await loaded('plant', 'valves')).toEqual(once);

    const late = await temporal.run(...signalOf(id));
    expect(late.code).toBe(1);
    expect(late.output).toMatch(/already completed/i);
    await instance.json(['sync', 'plant'], [0, 5]);
    expect(await loaded('plant', 'valves')).toEqual(once);
    expect(await recordsOf('valves')).toEqual([{ state: 'resolved', attempts: 1, records: 5 }]);
  });

  test('a retry that the mapping still refuses leaves the same events, once more attempted', async () => {
    await load('plant', 'meters-1', rows(60));
    await load('plant', 'meters-2', poison(4, 100));
    const id = await waitingReview('meters');
    const [before] = await groupsOf('meters');
    await signalRetry(id);
    const again = [{ state: 'open', attempts: 2, records: 4 }];
    await until('the second attempt', async () => equal(await recordsOf('meters'), again));
    expect(await groupsOf('meters')).toEqual([{ ...before, state: 'ongoing' }]);
    expect(await loaded('plant', 'meters')).toEqual({ rows: 60, events: 60, inLedger: 60 });
    expect(await waitingReview('meters')).toBe(id);

    // And while new data comes in, good and bad: with the right mapping all of it loads once.
    await mapToText('plant', 'meters');
    const traffic = Array.from({ length: 4 }, async (_, n) => {
      await instance.write(`data/meters-new-${n}.ndjson`, toLines(rows(20, 1_000 + n * 100)));
      await instance.write(`data/meters-bad-${n}.ndjson`, toLines(poison(5, 1_050 + n * 100)));
      await instance.json(['sync', 'plant'], [0, 5]);
    });
    await Promise.all([signalRetry(id), ...traffic]);
    await closed(id);
    expect(await loaded('plant', 'meters')).toEqual({ rows: 164, events: 164, inLedger: 164 });
    expect(await recordsOf('meters')).toEqual([{ state: 'resolved', attempts: 2, records: 4 }]);
  });

  test('each destination has its own review: a retry brings the events into that one alone', async () => {
    await load('shop', 'orders-1', rows(60));
    await load('shop', 'orders-2', [...rows(5, 100), ...poison(2, 200)]);
    const [first, other] = [
      await waitingReview('orders', 'warehouse'),
      await waitingReview('orders', 'second'),
    ];
    expect(first).not.toBe(other);
    await mapToText('shop', 'orders', 'warehouse');
    await signalRetry(first);
    await closed(first);
    expect(await loaded('shop', 'orders')).toEqual({ rows: 67, events: 67, inLedger: 67 });
    const before = { rows: 65, events: 65, inLedger: 65 };
    expect(await loaded('shop', 'orders', 'second')).toEqual(before);
    expect(await waitingReview('orders', 'second')).toBe(other);

    await mapToText('shop', 'orders', 'second');
    await signalRetry(other);
    await closed(other);
    const both = { rows: 67, events: 67, inLedger: 67 };
    expect(await loaded('shop', 'orders', 'second')).toEqual(both);
    expect(await loaded('shop', 'orders')).toEqual(both);
  });

  test('a group that fails again after it was resolved gets a new review', async () => {
    const refuse = () =>
      instance.warehouse(
        'ALTER TABLE plant.gauges ADD CONSTRAINT small CHECK (id < 900) NOT VALID',
      );
    await load('plant', 'gauges-1', rows(60));
    await refuse();
    await load('plant', 'gauges-2', rows(3, 1_000));
    const id = await waitingReview('gauges');
    const firstRun = await newestRun(id);
    expect(await temporal.text('workflow', 'metadata', '--workflow-id', id)).toContain('23514');
    await instance.warehouse('ALTER TABLE plant.gauges DROP CONSTRAINT small');
    await signalRetry(id);
    await closed(id);
    expect(await loaded('plant', 'gauges')).toEqual({ rows: 63, events: 63, inLedger: 63 });

    await instance.warehouse('DELETE FROM plant.gauges WHERE id >= 900');
    await refuse();
    await load('plant', 'gauges-3', rows(2, 2_000));
    expect(await waitingReview('gauges')).toBe(id);
    expect(await newestRun(id)).not.toBe(firstRun);
    expect(await groupsOf('gauges')).toMatchObject([{ state: 'regressed', open: 2, total: 5 }]);
  });
});

describe('what the API of Temporal tells about every run that ended', () => {
  let runs: readonly EndedRun[];
  const of = (wanted: string) => runs.filter(({ type }) => type === wanted);

  beforeAll(async () => {
    runs = await endedRuns();
  });

  test('a batch names source, stream and size from its start, then rows and failed events by destination', () => {
    const batches = of('processBatch').filter(
      ({ attributes }) => attributes.MillraceRun === 'live',
    );
    expect(batches.length).toBeGreaterThanOrEqual(12);
    for (const { workflowId, summary, memo, attributes } of batches) {
      const stream = /data\/([a-z]+)-/.exec(workflowId)?.[1] ?? '';
      const [source, destination] =
        stream === 'orders' ? ['shop', 'second, warehouse'] : ['plant', 'warehouse'];
      expect(summary).toMatch(`${source} · ${stream} · `);
      expect(summary).toMatch(/ [\d.]+ [KM]iB from data\//);
      expect(memo).toMatch(`**${source}** · ${stream} · `);
      expect(memo).toMatch(/ \d+ events → .*warehouse settled: \d+ rows, \d+ failed events$/);
      expect(attributes).toMatchObject({
        MillraceSource: source,
        MillraceStream: stream,
        MillraceDestination: destination,
      });
    }
    const poisoned = batches.find(({ workflowId }) => workflowId.includes('probes-2'));
    expect(poisoned).toMatchObject({
      memo: '**plant** · probes · 13 events → warehouse settled: 10 rows, 3 failed events',
      attributes: { MillraceParked: 3 },
    });
  });

  test('a sync names its source from the start, then streams, batches, rows and failed events', () => {
    for (const { summary, memo } of of('syncSource')) {
      expect(summary).toMatch(/^sync (plant|shop)$/);
      expect(memo).toMatch(/^\*\*(plant|shop)\*\* · .+ → \d+ batch(es)?: \d+ rows, \d+ failed/);
    }
    const memos = of('syncSource').map(({ memo }) => memo);
    expect(memos).toContain('**plant** · probes → 1 batch: 10 rows, 3 failed events');
  });

  test('a restream and its batches name source, stream, destination, events and outcome', () => {
    expect(of('restream').find(({ summary }) => summary.includes('probes'))).toMatchObject({
      summary: 'restream of plant.probes → warehouse: 3 failed events',
      memo: '**plant.probes → warehouse** · 3 events → 3 rows loaded, 0 failed events again',
    });
    const batches = of('processBatch').filter(
      ({ attributes }) => attributes.MillraceRun === 'restream',
    );
    expect(batches.length).toBeGreaterThanOrEqual(5);
    for (const { summary, memo } of batches) {
      expect(summary).toMatch(/^restream of (plant|shop)\.\w+ → (warehouse|second)$/);
      expect(memo).toMatch(/^\*\*(plant|shop)\*\* · \w+ · \d+ events → \w+ settled: \d+ rows/);
    }
  });

  test('a review names source, stream, destination, failed events and the reason', () => {
    expect(of('reviewFailures').map(({ summary }) => summary)).toContain(
      'plant.valves → warehouse: 5 failed events, value: text where decimal is expected (type-mismatch)',
    );
    for (const { attributes } of of('reviewFailures')) {
      expect(attributes).toMatchObject({ MillraceReview: 'resolved', MillraceParked: 0 });
    }
  });
});

interface EndedRun {
  readonly workflowId: string;
  readonly type: string;
  readonly summary: string;
  readonly memo: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

async function endedRuns(): Promise<readonly EndedRun[]> {
  const access = await connectTemporal(
    readTemporalSettings({ TEMPORAL_ADDRESS: instance.urls.temporal }),
  );
  const runs: EndedRun[] = [];
  const query = 'ExecutionStatus="Completed" AND WorkflowType!="maintain"';
  for await (const { workflowId, runId } of access.client.workflow.list({ query })) {
    const description = await access.client.workflow.getHandle(workflowId, runId).describe();
    const { type, memo, typedSearchAttributes } = description;
    const pairs = typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
    runs.push({
      workflowId,
      type,
      summary: (await description.staticSummary()) ?? '',
      memo: String(memo?.['result']),
      attributes: Object.fromEntries(pairs) as Record<string, unknown>,
    });
  }
  await access.close();
  return runs;
}

function rows(count: number, first = 0): object[] {
  return Array.from({ length: count }, (_, n) => ({ id: first + n, value: n + 0.5 }));
}

function poison(count: number, first: number): object[] {
  return Array.from({ length: count }, (_, n) => ({ id: first + n, value: `broken ${n}` }));
}

function toLines(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

async function load(pipeline: string, file: string, records: readonly object[]): Promise<void> {
  await instance.write(`data/${file}.ndjson`, toLines(records));
  await instance.json(['sync', pipeline], [0, 5]);
}

async function mapToText(source: string, stream: string, destination?: string): Promise<void> {
  const only = destination === undefined ? [] : ['--destination', destination];
  await instance.json(['mapping', 'set', source, stream, 'value', '--type', 'text', ...only]);
}

const signalOf = (id: string) => ['workflow', 'signal', '--workflow-id', id, '--name', 'retry'];

async function signalRetry(id: string): Promise<void> {
  await temporal.text(...signalOf(id));
}

function waitingReview(stream: string, destination = 'warehouse'): Promise<string> {
  const query = `MillraceReview="waiting" AND MillraceStream="${stream}" AND MillraceDestination="${destination}" AND ExecutionStatus="Running"`;
  return until(`the review of ${stream}`, () => oneOf(query));
}

async function oneOf(query: string): Promise<string | undefined> {
  const found = await temporal.json<Listed[]>('workflow', 'list', '--query', query);
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0]?.execution.workflowId;
}

async function describeRun(id: string) {
  const answer = await temporal.json<{
    workflowExecutionInfo: Listed & { readonly status: string };
  }>('workflow', 'describe', '--workflow-id', id);
  return answer.workflowExecutionInfo;
}

async function newestRun(id: string): Promise<string> {
  return (await describeRun(id)).execution.runId;
}

async function closed(id: string): Promise<void> {
  await until(`the end of ${id}`, async () => (await describeRun(id)).status.endsWith('COMPLETED'));
}

async function loaded(source: string, stream: string, destination = 'warehouse') {
  const [table] = await instance.warehouse<{ rows: number; events: number }>(
    `SELECT count(*)::int AS rows, count(DISTINCT _event_id)::int AS events FROM ${source}.${stream}`,
    [],
    destination,
  );
  const [ledger] = await instance.warehouse<{ rows: number }>(
    `SELECT coalesce(sum((tables ->> $1)::int), 0)::int AS rows FROM _millrace.ledger`,
    [`${source}.${stream}`],
    destination,
  );
  return { ...table, inLedger: ledger?.rows };
}

function recordsOf(stream: string) {
  return instance.catalog(
    `SELECT state, attempts, count(*)::int AS records FROM millrace.failed_events
      WHERE stream = $1 GROUP BY state, attempts`,
    [stream],
  );
}

function groupsOf(stream: string) {
  return instance.catalog(
    `SELECT group_id, state, open_count::int AS open, restreaming_count::int AS restreaming,
            total_count::int AS total
       FROM millrace.failure_groups WHERE stream = $1`,
    [stream],
  );
}

function equal(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
