import { expect, test } from 'vitest';
import { startInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres }, second: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse, second] } }
`;

test('chunks of the intake are not staged again: rows are mapped anew, and refused ones found, from where they are', async () => {
  await using instance = await startInstance({ config });
  const post = (from: number, to: number, extra = '') => {
    const numbers = Array.from({ length: to - from }, (_, at) => from + at);
    const body = numbers.map((n) => `{"n": ${n}, "text": "event ${n}"${extra}}`).join('\n');
    const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `from-${from}` };
    return postEvents(instance, { body, headers });
  };
  const untilSettled = (events: number) =>
    until('everything to be settled', async () => {
      const [counts] = await instance.catalog<{ events: number; open: number }>(
        `SELECT coalesce(sum(events), 0)::int AS events,
                count(*) FILTER (WHERE state <> 'settled')::int AS open FROM millrace.batches`,
      );
      return counts?.open === 0 && counts.events === events;
    });

  await post(0, 100);
  await untilSettled(100);
  await instance.warehouse(
    'ALTER TABLE app.app ADD CONSTRAINT small CHECK (n < 150)',
    [],
    'second',
  );
  await post(100, 200, ', "more": 1.5'); // a new field: what extract mapped is outdated
  await untilSettled(200);

  const count = async (destination: string) => {
    const sql = 'SELECT count(*)::int AS n, count(more)::int AS more FROM app.app';
    return (await instance.warehouse(sql, [], destination))[0];
  };
  expect(await count('warehouse')).toEqual({ n: 200, more: 100 });
  expect(await count('second')).toEqual({ n: 150, more: 50 });
  const failed = await instance.catalog<{ id: string; raw: string; kind: string }>(
    `SELECT event_id AS id, convert_from(raw, 'UTF8') AS raw, kind FROM millrace.failed_events
      ORDER BY ordinal`,
  );
  expect(failed).toEqual(
    Array.from({ length: 50 }, (_, at) => ({
      id: `from-100#${at + 50}`,
      raw: `{"n": ${at + 150}, "text": "event ${at + 150}", "more": 1.5}`,
      kind: 'destination-rejected',
    })),
  );
  const staged = await instance.catalog('SELECT DISTINCT staged_name FROM millrace.extracts');
  expect(staged).toEqual([{ staged_name: '' }]);
});
