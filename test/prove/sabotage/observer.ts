import type { TestInstance } from '../../support/instance.ts';
import { postEvents } from '../../support/post-events.ts';
import { until } from '../../support/until.ts';
import type { SabotageName } from './sabotages.ts';

type Row = Readonly<Record<string, unknown>>;

/** Gives one source events, numbered from 1, and looks by SQL what became of them. */
export class Observer {
  readonly source: SabotageName;
  readonly #instance: TestInstance;
  readonly #table: string;
  #events = 0;
  #files = 0;

  constructor(instance: TestInstance, source: SabotageName) {
    this.#instance = instance;
    this.source = source;
    this.#table = `"${source}"."${this.#isSent() ? source : 'events'}"`;
  }

  /** Another file of events; nothing is synced by it. */
  async addFile(count: number, make = (n: number): Row => ({ n, amount: n })): Promise<void> {
    const lines = this.#next(count).map((n) => `${JSON.stringify(make(n))}\n`);
    this.#files += 1;
    await this.#instance.write(`${this.source}-${this.#files}.ndjson`, lines.join(''));
  }

  /** Sends events until they are answered as taken; answers the body. */
  async post(count: number): Promise<string> {
    const events = this.#next(count).map((n) => ({ n, _metadata: { '@uuid': `event-${n}` } }));
    const body = JSON.stringify(events);
    await this.postAgain(body);
    return body;
  }

  async postAgain(body: string): Promise<void> {
    const { source } = this;
    const { status } = await postEvents(this.#instance, { body, source });
    if (status !== 202) throw new Error(`events were answered ${status}`);
  }

  /** Syncs until nothing is left to do; some events may fail. */
  async sync(): Promise<void> {
    await this.#instance.json(['sync', this.source], [0, 5]);
  }

  /** Events 101 to 150 are refused by the table, and then would not be any more. */
  async failSome(): Promise<void> {
    const sql = (text: string) => this.#instance.warehouse(`ALTER TABLE ${this.#table} ${text}`);
    await this.addFile(100);
    await this.sync();
    await sql('ADD CONSTRAINT small CHECK (n <= 100)');
    await this.addFile(50);
    await this.sync();
    await sql('DROP CONSTRAINT small');
  }

  /** Asks for restreams of all that failed. */
  async retryAll(): Promise<void> {
    const list = ['failed', 'list', '--source', this.source];
    const groups = await this.#instance.json<{ groupId: string }[]>(list);
    for (const { groupId } of groups) {
      await this.#instance.json(['failed', 'retry', groupId, '--no-wait']);
    }
  }

  async untilRestreamed(): Promise<void> {
    await until('the restreams to end', async () => {
      const [count] = await this.#instance.catalog<{ ended: number; running: number }>(
        `SELECT count(*) FILTER (WHERE r.state = 'settled')::int AS ended,
                count(*) FILTER (WHERE r.state = 'running')::int AS running
           FROM millrace.restreams r JOIN millrace.failure_groups USING (group_id)
          WHERE source = $1`,
        [this.source],
      );
      return count?.running === 0 && count.ended > 0;
    });
  }

  /** All that was taken is planned and settled, restreams and backfills too. */
  async untilDrained(): Promise<void> {
    await until(
      `${this.source} to drain`,
      async () => {
        const [left] = await this.#instance.catalog<{ open: number; unplanned: number }>(
          `SELECT (SELECT count(*)::int FROM millrace.batches
                    WHERE source = $1 AND state <> 'settled') AS open,
                  (SELECT count(*)::int FROM millrace.intakes i
                    WHERE source = $1 AND last_chunk >= coalesce(
                      (SELECT head::bigint FROM millrace.lanes l WHERE l.source = i.source), 1)) AS unplanned`,
          [this.source],
        );
        return left?.open === 0 && left.unplanned === 0;
      },
      120_000,
    );
  }

  /** Either all is loaded, or `maintain` has had so many occasions to begin with what is not. */
  async untilLooksPassed(looks: number): Promise<void> {
    const everyMs = Number(this.#instance.environment['MILLRACE_MAINTAIN_EVERY_MS']);
    const end = Date.now() + looks * everyMs;
    await until('all to be loaded, or the time to pass', async () => {
      return Date.now() > end || (await this.lost()).length === 0;
    });
  }

  /** Events that are not in the table, though all of them were to load. */
  async lost(): Promise<readonly Row[]> {
    const [found] = await this.#instance.warehouse<{ found: boolean }>(
      `SELECT to_regclass($1) IS NOT NULL AS found`,
      [this.#table],
    );
    const isThere = found?.found
      ? `EXISTS (SELECT FROM ${this.#table} e WHERE e.n = sent.n)`
      : 'false';
    return this.#instance.warehouse<Row>(
      `SELECT n FROM generate_series(1, ${this.#events}) AS sent (n) WHERE NOT ${isThere}`,
    );
  }

  async duplicates(): Promise<readonly Row[]> {
    return this.#instance.warehouse<Row>(
      `SELECT _event_id, count(*)::int FROM ${this.#table} GROUP BY 1 HAVING count(*) > 1`,
    );
  }

  /** Events that are in the table, and wait in failed events too. */
  async loadedAndFailed(): Promise<readonly Row[]> {
    const failed = await this.#instance.catalog<{ id: string }>(
      `SELECT event_id AS id FROM millrace.failed_events WHERE source = $1 AND state = 'open'`,
      [this.source],
    );
    return this.#instance.warehouse<Row>(
      `SELECT _event_id FROM ${this.#table} WHERE _event_id = ANY ($1)`,
      [failed.map(({ id }) => id)],
    );
  }

  #next(count: number): readonly number[] {
    const first = this.#events + 1;
    this.#events += count;
    return Array.from({ length: count }, (_, at) => first + at);
  }

  #isSent(): boolean {
    return this.#instance.urls.tokens[this.source] !== undefined;
  }
}
