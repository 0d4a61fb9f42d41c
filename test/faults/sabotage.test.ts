import { describe, expect, test } from 'vitest';
import { Observer } from '../prove/sabotage/observer.ts';
import { sabotages, type SabotageName } from '../prove/sabotage/sabotages.ts';
import { startSabotaged } from '../prove/sabotage/start-sabotaged.ts';
import { configurationFor, environment, stories } from '../prove/sabotage/stories.ts';
import { startInstance } from '../support/instance.ts';

const names = Object.keys(sabotages) as SabotageName[];

describe('a sabotage is seen in the database:', () => {
  test.each(names.map((name) => [name, sabotages[name].breaks] as const))(
    '%s: %s',
    async (name) => {
      await using instance = await startSabotaged(name, {
        config: configurationFor([name]),
        environment,
      });
      const violations = await stories[name](new Observer(instance, name), instance);
      expect(violations.length).toBeGreaterThan(0);
    },
  );
});

test('where nothing is sabotaged none of these stories ends with a violation', async () => {
  await using instance = await startInstance({ config: configurationFor(names), environment });
  const violations: Record<string, readonly unknown[]> = {};
  for (const name of names) {
    violations[name] = await stories[name](new Observer(instance, name), instance);
  }
  expect(violations).toEqual(Object.fromEntries(names.map((name) => [name, []])));
}, 600_000);
