import { expect } from 'vitest';
import { conflictOf, isBad, makeEvents, sendUntilTaken } from './event-senders.ts';
import { startInstance, type TestInstance } from './instance.ts';
import { until } from './until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources:
  app: { type: http }
pipelines:
  app: { source: app, destinations: [warehouse] }
`;

const perBatch = 50;
const resendEvery = 7;

export interface IntakeStory {
  readonly events: number;
  readonly clients: number;
  /** Times the server is killed in the middle. */
  readonly kills: number;
}

/**
 * Clients send events, some twice, some under an id that is taken, while the server is killed again
 * and again: whatever was answered is in the table or in failed events, once.
 */
export async function tellIntakeStory({ events, clients, kills }: IntakeStory): Promise<void> {
  await using instance = await startInstance({ config });
  const share = Math.ceil(events / clients);
  const progress = { taken: 0, retries: 0 };
  const sending = Array.from({ length: clients }, (_, client) =>
    sendShare(instance, { from: client * share + 1, to: (client + 1) * share + 1 }, progress),
  );
  const killing = killServer(instance, { kills, events: share * clients, progress });
  await Promise.all([...sending, killing]);
  expect(progress.retries).toBeGreaterThan(0);
  await untilLoaded(instance);
  await audit(instance, share * clients);
}

async function sendShare(
  instance: TestInstance,
  { from, to }: { readonly from: number; readonly to: number },
  progress: { taken: number; retries: number },
): Promise<void> {
  for (let first = from, batch = 0; first < to; first += perBatch, batch += 1) {
    const end = Math.min(first + perBatch, to);
    const body = `[${makeEvents(first, end)
      .map((event) => event.body)
      .join(',')}]`;
    for (let times = batch % resendEvery === 0 ? 2 : 1; times > 0; times -= 1) {
      const { reply, retries } = await sendUntilTaken(instance, { body });
      expect(reply.status).toBe(202);
      progress.retries += retries;
    }
    progress.taken += end - first;
    await sendConflicts(instance, first, end);
  }
}

async function sendConflicts(instance: TestInstance, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 1) {
    const conflict = conflictOf(n);
    if (conflict) await sendUntilTaken(instance, { body: conflict.body });
  }
}

async function killServer(
  instance: TestInstance,
  { kills, events, progress }: { kills: number; events: number; progress: { taken: number } },
): Promise<void> {
  for (let kill = 1; kill <= kills; kill += 1) {
    const at = (events * kill) / (kills + 1);
    await until(`${at} events to be taken`, async () => progress.taken >= at, 300_000);
    process.kill(await instance.pidOf('server'), 'SIGKILL');
  }
}

async function untilLoaded(instance: TestInstance): Promise<void> {
  await until(
    'everything to be settled',
    async () => {
      const [left] = await instance.catalog<{ chunks: number; deliveries: number }>(
        `SELECT (SELECT count(*)::int FROM millrace.intakes i
                  WHERE i.last_chunk >= coalesce((SELECT head::bigint FROM millrace.lanes l
                                                   WHERE l.source = i.source), 1)) AS chunks,
                (SELECT count(*)::int FROM millrace.deliveries WHERE state <> 'settled') AS deliveries`,
      );
      return left?.chunks === 0 && left.deliveries === 0;
    },
    180_000,
  );
}

async function audit(instance: TestInstance, events: number): Promise<void> {
  const numbers = Array.from({ length: events }, (_, at) => at + 1);
  const good = numbers.filter((n) => !isBad(n));
  const rows = await instance.warehouse<{ n: string; id: string }>(
    'SELECT n::text, _event_id AS id FROM app.app ORDER BY app.n',
  );
  // Of two events under one id the one that was received first stays.
  expect(rows).toEqual(good.map((n) => ({ n: String(n), id: `event-${n}` })));
  // One whose answer was lost came again, and conflicted again: it is one failed event.
  const failed = await instance.catalog<{ kind: string; id: string; raw: string }>(
    `SELECT kind, event_id AS id, convert_from(raw, 'UTF8') AS raw
       FROM millrace.failed_events WHERE state = 'open'
      ORDER BY kind, substring(event_id FROM 7)::int`,
  );
  const conflicts = numbers.flatMap((n) => {
    const other = conflictOf(n);
    return other ? [{ kind: 'id-conflict', id: other.id, raw: other.body }] : [];
  });
  const bad = numbers
    .filter(isBad)
    .flatMap((n) => makeEvents(n, n + 1))
    .map(({ id, body: raw }) => ({ kind: 'invalid-json', id, raw }));
  expect(failed).toEqual([...conflicts, ...bad]);
}
