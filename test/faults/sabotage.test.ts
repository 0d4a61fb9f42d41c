import { describe, expect, test } from 'vitest';
import { faults } from '../prove/nemesis/faults.ts';
import { planRounds } from '../prove/nemesis/schedule.ts';
import { prove } from '../prove/prove.ts';
import { sabotages, type SabotageName } from '../prove/sabotage/sabotages.ts';
import { makeFolder } from '../support/folder.ts';
import { variants } from '../support/variants.ts';

const names = variants(Object.keys(sabotages) as SabotageName[], ['claim']);

/** What cannot drain is not waited for: the oracle looks at what is there. */
const drainMs = 45_000;

describe('a proof of a product that is broken finds it:', () => {
  test.each(names.map((name) => [name, sabotages[name].word, sabotages[name].breaks] as const))(
    '%s is reported as %s: %s',
    async (name, word) => {
      await using folder = await makeFolder();
      const { provokedBy: kinds } = sabotages[name];
      const plan = { seed: name, events: 3_000, faults: 1, kinds, perRound: 1 };
      const { rounds, violations } = await prove({
        seed: plan.seed,
        rounds: planRounds(plan),
        faults,
        folder: folder.path,
        say: () => undefined,
        sabotage: name,
        drainMs,
      });
      expect(rounds.flatMap(({ strikes }) => strikes).every(({ times }) => times > 0)).toBe(true);
      expect(violations.map((violation) => violation.word)).toContain(word);
    },
  );
});
