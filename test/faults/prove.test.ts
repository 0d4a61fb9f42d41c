import { expect, test } from 'vitest';
import { failpoints } from '../../core/failpoints.ts';
import { faults } from '../prove/nemesis/faults.ts';
import { planRounds } from '../prove/nemesis/schedule.ts';
import { prove } from '../prove/prove.ts';
import { makeFolder } from '../support/folder.ts';

/** Every failpoint, and one fault of each other family. */
const kinds = [
  ...Object.keys(failpoints).map((name) => `kill at ${name}`),
  'Temporal killed',
  'sessions terminated at random',
  'COMMIT done, its answer lost: warehouse',
  'network: connections reset',
];

test('the short proof holds; where tables are changed by hand its oracle says so', async () => {
  await using folder = await makeFolder();
  const plan = { seed: 'short', events: 50_000, faults: kinds.length, kinds, perRound: 6 };
  const { rounds, events, stuck, violations } = await prove({
    seed: plan.seed,
    rounds: planRounds(plan),
    faults,
    folder: folder.path,
    say: (text) => void process.stderr.write(`${text}\n`),
    async afterVerdict(instance, askAgain) {
      await instance.warehouse('DELETE FROM app.app WHERE n = (SELECT min(n) FROM app.app)');
      await instance.warehouse(
        'INSERT INTO shop.clicks SELECT * FROM shop.clicks WHERE n = (SELECT min(n) FROM shop.clicks)',
      );
      await instance.warehouse(`UPDATE shop.orders SET amount = -1 WHERE id = 7`);
      await instance.warehouse(
        'UPDATE store.visits SET _batch_id = $1 WHERE n = (SELECT min(n) FROM store.visits)',
        ['no such batch'],
      );
      const found = await askAgain();
      const words = found.map(({ word, source }) => `${word} ${source}`);
      expect(words).toEqual(
        expect.arrayContaining(['lost app', 'torn app', 'duplicate shop', 'phantom shop', 'torn ']),
      );
    },
  });
  expect({ stuck, violations }).toEqual({ stuck: [], violations: [] });
  expect(events).toBeGreaterThanOrEqual(50_000);
  const strikes = rounds.flatMap((round) => round.strikes);
  expect(strikes.filter(({ times }) => times === 0)).toEqual([]);
  expect(strikes.length).toBe(kinds.length);
}, 900_000);
