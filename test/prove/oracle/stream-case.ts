import type { FailedRow, LoadedRow } from './evidence.ts';
import type { SentBody } from './journal.ts';
import type { Violation, Word } from './violations.ts';

/** What was sent to one stream and what one destination has of it. */
export interface StreamEvidence {
  readonly source: string;
  readonly destination: string;
  readonly bodies: readonly SentBody[];
  readonly rows: readonly LoadedRow[];
  /** Records of this stream and destination. */
  readonly failed: readonly FailedRow[];
  /** Whether all that was taken is planned and settled: what is missing then stays missing. */
  readonly isDrained: boolean;
  /** Whether ranges of it were read a second time: by a backfill. */
  readonly isReadAgain: boolean;
}

/** The same by key and by bytes, and what is found to be wrong. */
export class StreamCase {
  readonly violations: Violation[] = [];
  readonly bodiesByKey: ReadonlyMap<string, readonly SentBody[]>;
  readonly rowsByKey: ReadonlyMap<string, readonly LoadedRow[]>;
  readonly #given: StreamEvidence;
  readonly #heldBySha: ReadonlyMap<string, readonly FailedRow[]>;
  readonly #heldByContent: ReadonlyMap<string | null, readonly FailedRow[]>;

  constructor(given: StreamEvidence) {
    this.#given = given;
    this.bodiesByKey = Map.groupBy(given.bodies, ({ key }) => key);
    this.rowsByKey = Map.groupBy(given.rows, ({ key }) => key);
    const held = given.failed.filter(({ state }) => state === 'open' || state === 'restreaming');
    this.#heldBySha = Map.groupBy(held, ({ sha256 }) => sha256);
    this.#heldByContent = Map.groupBy(held, ({ content }) => content);
  }

  get isReadAgain(): boolean {
    return this.#given.isReadAgain;
  }

  /** Records that wait with the bytes of this event. */
  held({ sha256, content }: Pick<SentBody, 'sha256' | 'content'>): readonly FailedRow[] {
    const found = sha256 === '' ? this.#heldByContent.get(content) : this.#heldBySha.get(sha256);
    return found ?? [];
  }

  report(word: Word, subject: string, detail: string, round?: number): void {
    const { source, destination } = this.#given;
    const place = { word, source, destination, subject, detail };
    this.violations.push({ ...place, ...(round !== undefined && { round }) });
  }

  /** Gone for good, or not there yet. */
  reportMissing(subject: string, detail: string, round?: number): void {
    this.report(this.#given.isDrained ? 'lost' : 'unseen', subject, detail, round);
  }

  reportOlder(subject: string, round?: number): void {
    const word = this.#given.isDrained ? 'stale' : 'unseen';
    this.report(word, subject, 'an older version than the newest', round);
  }

  /** Every row says what somebody sent and was not refused. */
  judgeRows(): void {
    for (const [key, rows] of this.rowsByKey) {
      const bodies = this.bodiesByKey.get(key);
      const round = bodies?.[0]?.round;
      if (rows.length > 1) this.report('duplicate', key, `${rows.length} rows`, round);
      if (!bodies) this.report('phantom', key, 'a row that nobody sent');
      else for (const row of rows) this.#judgeRow(row, bodies);
    }
  }

  #judgeRow({ key, content }: LoadedRow, bodies: readonly SentBody[]): void {
    const round = bodies[0]?.round;
    const body = bodies.find((sent) => sent.content === content);
    if (!body) this.report('phantom', key, 'a row that says what nobody sent', round);
    else if (body.outcome === 'failed') this.report('phantom', key, 'refused, and loaded', round);
  }

  /** Every failed event has the bytes that somebody sent. */
  judgeRecords(): void {
    const { bodies } = this.#given;
    const bySha = new Map(bodies.map((body) => [body.sha256, body]));
    const rows = bodies.filter((body) => body.sha256 === '');
    const byContent = new Map(rows.map((body) => [body.content, body]));
    for (const { sha256, declaredSha256, content } of this.#given.failed) {
      const body = bySha.get(sha256) ?? byContent.get(content);
      if (sha256 !== declaredSha256 || !body) {
        this.report('phantom', sha256.slice(0, 8), 'a failed event with bytes that nobody sent');
      } else if (body.outcome === 'failed') {
        this.report('phantom', body.key, 'refused, and a failed event', body.round);
      }
    }
  }
}
