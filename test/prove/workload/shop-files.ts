import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JournalWriter } from '../journal.ts';
import { contentOf, sha256 } from '../oracle/content.ts';
import type { SentEvent } from '../oracle/journal.ts';
import type { Random } from '../random.ts';
import { startOfTime } from './app-events.ts';

/** Files that grow: clicks, each a row, and orders, whose newest version is the row. */
export interface ShopFiles {
  /** Lines that were written, of both. */
  readonly lineCount: number;
  write(round: ShopRound): Promise<void>;
}

export interface ShopRound {
  readonly count: number;
  readonly round: number;
  readonly random: Random;
  readonly newFields: readonly string[];
  readonly isClean?: boolean;
  readonly isPoison?: boolean;
}

interface Line {
  readonly text: string;
  readonly sent: SentEvent;
}

const keys = 700;
const perWrite = 200;
const wrongType = 0.01;
const disorder = 10_000;

export function openShopFiles(directory: string, journal: JournalWriter): ShopFiles {
  let [clicks, orders, lineCount] = [0, 0, 0];
  async function append(stream: 'clicks' | 'orders', lines: readonly Line[], round: number) {
    for (let at = 0; at < lines.length; at += perWrite) {
      const some = lines.slice(at, at + perWrite);
      const events = some.map(({ sent }) => sent);
      const request = journal.sent({ source: 'shop', stream, round, events });
      await appendFile(
        join(directory, `${stream}.ndjson`),
        some.map(({ text }) => `${text}\n`).join(''),
      );
      journal.answered(request, 'ok');
      lineCount += some.length;
    }
  }
  return {
    get lineCount() {
      return lineCount;
    },
    async write(given) {
      const half = Math.ceil(given.count / 2);
      const newClicks = Array.from({ length: half }, (_, at) => makeClick(clicks + at, given));
      const newOrders = makeOrders(orders, half, given);
      [clicks, orders] = [clicks + half, orders + half];
      await append('clicks', newClicks, given.round);
      await append('orders', newOrders, given.round);
    },
  };
}

function makeClick(n: number, { random, newFields, isClean, isPoison = false }: ShopRound): Line {
  const fields: Record<string, unknown> = {
    n,
    amount: random.below(1_000) + 0.5,
    text: `click ${n}`,
  };
  for (const name of newFields) if (random.chance(0.3)) fields[name] = random.below(100);
  const isBad = isPoison || (!isClean && random.chance(wrongType));
  return toLine(String(n), isBad ? { ...fields, amount: 'none' } : fields, isBad);
}

/** Versions in no order, some of them late by 30 days, each only once. */
function makeOrders(
  from: number,
  count: number,
  { random, isClean, isPoison = false }: ShopRound,
): readonly Line[] {
  const numbers = Array.from({ length: count }, (_, at) => from + at);
  return random.shuffle(numbers, disorder).map((version) => {
    const id = isClean ? version % keys : random.below(keys);
    const late = !isClean && random.chance(0.02) ? 30 * 86_400_000 : 0;
    const at = new Date(startOfTime + version * 1_000 - late + (late && 500)).toISOString();
    const isBad = isPoison || (!isClean && random.chance(wrongType));
    const amount = isBad ? 'none' : random.below(1_000) + 0.5;
    return toLine(String(id), { id, at, n: version, amount }, isBad, at);
  });
}

function toLine(
  key: string,
  fields: Record<string, unknown>,
  isBad: boolean,
  version?: string,
): Line {
  const text = JSON.stringify(fields);
  const content = isBad ? null : contentOf(fields);
  const sent = { key, content, sha256: sha256(text), ...(version !== undefined && { version }) };
  return { text, sent };
}
