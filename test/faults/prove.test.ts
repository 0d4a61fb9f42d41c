import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { faults } from '../prove/nemesis/faults.ts';
import { planRounds } from '../prove/nemesis/schedule.ts';
import { prove } from '../prove/prove.ts';

/** Few of the faults of `npm run prove`, one of each family. */
const kinds = [
  'kill at before-commit',
  'Temporal killed',
  'sessions terminated at random',
  'staged files gone',
];

test('a short proof holds; where tables are changed by hand its oracle says so', async () => {
  await using folder = await makeFolder();
  const plan = { seed: 'short', events: 3_000, faults: kinds.length, kinds, perRound: 1 };
  const { rounds, stuck, violations } = await prove({
    seed: plan.seed,
    rounds: planRounds(plan),
    faults,
    folder: folder.path,
    say: () => undefined,
    async afterVerdict(instance, askAgain) {
      await instance.warehouse('DELETE FROM app.app WHERE n = (SELECT min(n) FROM app.app)');
      await instance.warehouse(
        'INSERT INTO shop.clicks SELECT * FROM shop.clicks WHERE n = 7',
        [],
        'archive',
      );
      await instance.warehouse(`UPDATE shop.orders SET amount = -1 WHERE id = 7`);
      const found = await askAgain();
      const words = found.map(({ word, destination }) => `${word} ${destination}`);
      expect(words).toEqual(
        expect.arrayContaining([
          'lost warehouse',
          'torn warehouse',
          'duplicate archive',
          'torn archive',
          'phantom warehouse',
        ]),
      );
    },
  });
  expect({ stuck, violations }).toEqual({ stuck: [], violations: [] });
  const strikes = rounds.flatMap((round) => round.strikes);
  expect(strikes.filter(({ times }) => times === 0)).toEqual([]);
  expect(strikes.length).toBe(kinds.length);
});

async function makeFolder() {
  const path = await mkdtemp(join(tmpdir(), 'millrace-proof-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
