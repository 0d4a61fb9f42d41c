import { describe, expect, test } from 'vitest';
import { faults } from '../prove/nemesis/faults.ts';
import { planRounds } from '../prove/nemesis/schedule.ts';
import { prove } from '../prove/prove.ts';
import type { Sabotage } from '../prove/sabotage/sabotage.ts';
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
      const { provokedBy: kinds, strikes: count = 1 }: Sabotage = sabotages[name];
      const plan = { seed: name, events: count * 3_000, faults: count, kinds, perRound: 1 };
      const { rounds, violations } = await prove({
        seed: plan.seed,
        rounds: planRounds(plan),
        faults,
        folder: folder.path,
        say: () => undefined,
        sabotage: name,
        drainMs,
      });
      const struck = rounds.flatMap(({ strikes }) => strikes).filter(({ times }) => times > 0);
      expect(struck).not.toEqual([]); // a product that is broken may stand still after the first one
      expect(violations.map((violation) => violation.word)).toContain(word);
    },
  );
});
