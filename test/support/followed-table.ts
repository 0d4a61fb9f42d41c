import type { PostgresSource } from '../../connectors/postgres/source.ts';
import { defaultRecordLimits, eventIdOf, recordBytes, versionOf } from '../../core/records.ts';
import type { LanePlan, ObservedLane, PlanLimits } from '../../core/source.ts';

/** So that a few rows are several ranges. */
export const fewRows: PlanLimits = { maxBytes: 2 ** 20, maxRecords: 5, maxRanges: 4 };
const { signal } = new AbortController();

export interface ReadRow {
  readonly id: string;
  readonly version: string;
  readonly text: string;
}

/** One lane as the catalog would keep it. */
export class Follower {
  readonly source: PostgresSource;
  readonly #name: string;
  #head: string | undefined;
  #memo = '';

  constructor(source: PostgresSource, name = 'public.orders') {
    this.source = source;
    this.#name = name;
  }

  async plan(within = fewRows): Promise<LanePlan> {
    const known = { name: this.#name, head: this.#head ?? '', memo: this.#memo };
    const lanes = await this.source.lanes(this.#head === undefined ? [] : [known], signal);
    const lane = lanes.find(({ name }) => name === this.#name) as ObservedLane;
    this.#head ??= lane.start;
    const plan = await this.source.plan(lane, this.#head, within, signal);
    this.#head = plan.ranges.at(-1)?.to ?? this.#head;
    this.#memo = plan.memo;
    return plan;
  }

  async read({ ranges, memo }: LanePlan): Promise<ReadRow[]> {
    const rows: ReadRow[] = [];
    const context = { signal, limits: defaultRecordLimits, lane: { name: this.#name, memo } };
    for (const range of ranges) {
      for await (const block of this.source.read(range, context)) {
        for (const at of block.starts.keys()) {
          const text = Buffer.from(recordBytes(block, at)).toString();
          rows.push({ id: eventIdOf(block, at), version: versionOf(block, at), text });
        }
      }
    }
    return rows;
  }

  /** As a person sets the position of the lane. */
  async setHead(position: string): Promise<void> {
    const lanes = await this.source.lanes(
      [{ name: this.#name, head: this.head, memo: this.#memo }],
      signal,
    );
    const lane = lanes.find(({ name }) => name === this.#name) as ObservedLane;
    this.#memo = await this.source.noteAt(lane, position, position);
    this.#head = position;
  }

  get head(): string {
    return this.#head ?? '';
  }

  /** Ids of the rows that are new now. */
  async ids(within = fewRows): Promise<number[]> {
    const ids: number[] = [];
    for (;;) {
      const plan = await this.plan(within);
      if (plan.ranges.length === 0) return ids;
      const rows = await this.read(plan);
      ids.push(...rows.map(({ text }) => (JSON.parse(text) as { id: number }).id));
    }
  }
}
