import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import type { JournalEntry, Outcome, SentEntry } from './oracle/journal.ts';

/** Notes what is sent and what is answered, for the oracle. */
export interface JournalWriter {
  /** Before it is sent; answers the number of the request. */
  sent(entry: Omit<SentEntry, 'type' | 'request'>): number;
  answered(request: number, outcome: Outcome): void;
  head(source: string, lane: string, head: string): void;
  /** Events of which somebody was told that they are taken. */
  readonly taken: number;
  /** Resolves when the file holds everything. */
  end(): Promise<void>;
}

export function openJournal(file: string): JournalWriter {
  const stream = createWriteStream(file);
  const write = (entry: JournalEntry) => void stream.write(`${JSON.stringify(entry)}\n`);
  let [requests, taken] = [0, 0];
  /** By request, until it is answered for the first time. */
  const open = new Map<number, number>();
  return {
    get taken() {
      return taken;
    },
    sent(entry) {
      requests += 1;
      open.set(requests, entry.events.length);
      write({ type: 'sent', request: requests, ...entry });
      return requests;
    },
    answered(request, outcome) {
      write({ type: 'answered', request, outcome });
      if (outcome !== 'ok') return;
      taken += open.get(request) ?? 0;
      open.delete(request);
    },
    head: (source, lane, head) => write({ type: 'head', source, lane, head }),
    async end() {
      stream.end();
      await once(stream, 'finish');
    },
  };
}
