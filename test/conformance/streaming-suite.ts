import { describe, expect, test } from 'vitest';
import { PipelineError } from '../../core/errors.ts';
import type { IntakeReceipt, IntakeSink, IntakeSubmission } from '../../core/intake.ts';
import { until } from '../support/until.ts';

/** A sender that keeps what it does not know to be safe, and the source that receives from it. */
export interface StreamingFixture extends AsyncDisposable {
  /** Receives into the sink until it is disposed. */
  run(sink: TestSink): Promise<AsyncDisposable>;
  /** The sender offers the records `from`..`to` (exclusive), again and again until they are safe. */
  send(from: number, to: number): void;
  /** Records that the sender knows to be safe. */
  acknowledged(): number;
  numberOf(record: Uint8Array): number;
}

/** An intake in memory that can be held up, and refuse. */
export class TestSink implements IntakeSink {
  readonly stored: IntakeSubmission[] = [];
  readonly refused: IntakeSubmission[] = [];
  #held: PromiseWithResolvers<void> | null = null;
  #refusals = 0;
  waiting = 0;

  async write(submission: IntakeSubmission): Promise<IntakeReceipt> {
    this.waiting += 1;
    await this.#held?.promise;
    this.waiting -= 1;
    if (this.#refusals > 0) {
      this.#refusals -= 1;
      this.refused.push(submission);
      throw new PipelineError('intake-busy', 'told to refuse');
    }
    this.stored.push(submission);
    return { chunk: this.stored.length };
  }

  hold(): void {
    this.#held = Promise.withResolvers();
  }

  letGo(): void {
    this.#held?.resolve();
    this.#held = null;
  }

  refuseNext(count: number): void {
    this.#refusals = count;
  }

  get resume(): string | null {
    return this.stored.findLast(({ resume }) => resume !== undefined)?.resume ?? null;
  }
}

/** What `StreamingSource` and `IntakeSink` promise one another, for every source that pushes. */
export function testStreaming(name: string, setUp: () => Promise<StreamingFixture>): void {
  const eventsOf = (submissions: readonly IntakeSubmission[]) =>
    submissions.flatMap(({ events }) => events);

  describe(`${name} as a streaming source`, () => {
    test('acknowledges nothing before it is durable, and all of it then', async () => {
      await using fixture = await setUp();
      const sink = new TestSink();
      sink.hold();
      await using _run = await fixture.run(sink);
      fixture.send(0, 3);
      await until('the first record', async () => sink.waiting > 0);
      expect(fixture.acknowledged()).toBe(0);
      sink.letGo();
      await until('the acknowledgements', async () => fixture.acknowledged() === 3);
      expect(eventsOf(sink.stored)).toHaveLength(3);
    });

    test('does not acknowledge what was refused: it comes again, with the same id and bytes', async () => {
      await using fixture = await setUp();
      const sink = new TestSink();
      sink.refuseNext(2);
      await using _run = await fixture.run(sink);
      fixture.send(0, 4);
      await until('the acknowledgements', async () => fixture.acknowledged() === 4);
      expect(sink.refused).toHaveLength(2);
      const stored = new Map(
        eventsOf(sink.stored).map(({ id, bytes }) => [id, Buffer.from(bytes)]),
      );
      for (const { id, bytes } of eventsOf(sink.refused)) expect(stored.get(id)).toEqual(bytes);
      expect(stored.size).toBe(4);
    });

    test('keeps records in order, and gives each an id of its own', async () => {
      await using fixture = await setUp();
      const sink = new TestSink();
      await using _run = await fixture.run(sink);
      fixture.send(0, 50);
      await until('the acknowledgements', async () => fixture.acknowledged() === 50);
      const events = eventsOf(sink.stored);
      const numbers = events.map(({ bytes }) => fixture.numberOf(bytes));
      expect(numbers).toEqual(Array.from({ length: 50 }, (_, n) => n));
      expect(new Set(events.map(({ id }) => id)).size).toBe(50);
    });

    test('goes on after a stop: nothing is missing, what comes twice has the same id', async () => {
      await using fixture = await setUp();
      const sink = new TestSink();
      fixture.send(0, 10);
      {
        await using _run = await fixture.run(sink);
        await until('some records', async () => fixture.acknowledged() >= 3);
        sink.hold();
        fixture.send(10, 20);
        await until('one that is held', async () => sink.waiting > 0);
        sink.refuseNext(1);
        setImmediate(() => sink.letGo());
      }
      sink.refuseNext(0);
      await using _run = await fixture.run(sink);
      await until('the acknowledgements', async () => fixture.acknowledged() === 20);
      const ids = new Map<number, Set<string>>();
      for (const { bytes, id } of eventsOf([...sink.stored, ...sink.refused])) {
        const n = fixture.numberOf(bytes);
        ids.set(n, (ids.get(n) ?? new Set()).add(id));
      }
      const stored = new Set(eventsOf(sink.stored).map(({ bytes }) => fixture.numberOf(bytes)));
      expect(stored.size).toBe(20);
      for (const [, own] of ids) expect(own.size).toBe(1);
    });
  });
}
