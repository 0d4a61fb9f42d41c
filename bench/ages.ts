import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { must } from '../core/errors.ts';
import { round } from './case-result.ts';

const lookEveryMs = 50;

export interface AgesOptions {
  /** The warehouse. */
  readonly url: string;
  /** Ids of rows, from `$1` on. */
  readonly select: string;
  /** The lowest of the ids that are waited for. */
  readonly first: number;
  readonly count: number;
  /** How long it may take until all are there. */
  readonly patienceMs: number;
}

/**
 * Looks on a connection of its own how long after its beginning each id is seen in a table. What
 * begins is told by `began`; an id may be seen before.
 */
export class Ages {
  readonly #options: AgesOptions;
  readonly #begun = new Map<number, number>();
  readonly #seen = new Map<number, number>();

  constructor(options: AgesOptions) {
    this.#options = options;
  }

  began(ids: readonly number[]): void {
    const now = performance.now();
    for (const id of ids) this.#begun.set(id, now);
  }

  /** Milliseconds of every id, after `seen`, when all have begun. */
  all(): readonly number[] {
    return [...this.#seen].map(([id, at]) => Math.max(1, at - must(this.#begun.get(id))));
  }

  /**
   * Resolves when all ids were seen.
   * @throws when they are not there in time
   */
  async seen(): Promise<void> {
    const { url, count, patienceMs } = this.#options;
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined); // the query that meets it says so
    await client.connect();
    try {
      const deadline = performance.now() + patienceMs;
      for (;;) {
        await this.#look(client);
        if (this.#seen.size >= count) break;
        if (performance.now() > deadline) {
          throw new Error(`${count - this.#seen.size} of ${count} rows never came`);
        }
        await sleep(lookEveryMs);
      }
    } finally {
      await client.end();
    }
  }

  async #look(client: pg.Client): Promise<void> {
    const { select, first, count } = this.#options;
    let oldest = first;
    while (this.#seen.has(oldest)) oldest += 1;
    const { rows } = await client.query<{ id: number }>(select, [oldest]);
    const now = performance.now();
    for (const { id } of rows) {
      if (id < first + count && !this.#seen.has(id)) this.#seen.set(id, now);
    }
  }
}

/** Of the ages of one round, in seconds. */
export interface AgesSummary {
  readonly [fact: string]: number;
  readonly p50Seconds: number;
  readonly p95Seconds: number;
  readonly maxSeconds: number;
}

export function summarizeAges(ages: readonly number[]): AgesSummary {
  const sorted = ages.toSorted((a, b) => a - b);
  const at = (part: number) =>
    round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) / 1000, 3);
  return { p50Seconds: at(0.5), p95Seconds: at(0.95), maxSeconds: at(1) };
}
