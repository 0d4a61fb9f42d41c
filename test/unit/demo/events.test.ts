import { expect, test } from 'vitest';
import { createRandom } from '../../../bench/events.ts';
import { DemoEvents } from '../../../demo/events.ts';

test('about one event of the demo in a hundred is odd, in each of four ways', () => {
  const events = new DemoEvents('run', createRandom(5));
  const all = Array.from({ length: 50_000 }, () => events.next(new Date(0)));
  const odd = all.filter((event) => event.odd);
  expect(odd.length / all.length).toBeGreaterThan(0.005);
  expect(odd.length / all.length).toBeLessThan(0.02);

  const good = new Set(all.filter((event) => !event.odd).map(({ line }) => line));
  const ids = new Set([...good].map(idOf));
  expect(ids.size).toBe(good.size);
  const ways = odd.map(({ line }) => {
    if (good.has(line)) return 'sent twice';
    if (!isJson(line)) return 'no JSON';
    return ids.has(idOf(line)) ? 'id used twice' : 'a word for a number';
  });
  expect(new Set(ways)).toEqual(
    new Set(['sent twice', 'no JSON', 'id used twice', 'a word for a number']),
  );
});

function idOf(line: string): string {
  return (JSON.parse(line) as { _metadata: { '@uuid': string } })._metadata['@uuid'];
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
