import { describe, expect, test, vi } from 'vitest';
import { PipelineError } from '../../../core/errors.ts';
import { keepUp, startUpkeep } from '../../../server/upkeep.ts';
import { createFakeContext, type FakeParts } from './fake-context.ts';

function failingTemporal(error: Error) {
  const noted: unknown[] = [];
  const temporal: NonNullable<FakeParts['temporal']> = {
    get health() {
      const message = noted.length === 0 ? null : error.message;
      return { state: 'unavailable', message } as const;
    },
    use: () => Promise.reject(error),
    note: (next) => void noted.push(next),
  };
  return { temporal, noted };
}

const environment = { maintainEveryMs: 60_000 };

describe('upkeep of Temporal', () => {
  test('goes on when Temporal is away, and logs it once', async () => {
    const away = new PipelineError('temporal-unavailable', 'nobody answers');
    const { temporal, noted } = failingTemporal(away);
    await using fake = await createFakeContext({ temporal, environment });
    await keepUp(fake.server);
    await keepUp(fake.server);
    expect(noted).toEqual([away, away]);
    expect(fake.logged).toHaveLength(1);
    expect(fake.logged[0]).toContain('nobody answers');
  });

  test('notes that the catalog is away', async () => {
    const { temporal, noted } = failingTemporal(new Error('not asked'));
    const query = () => Promise.reject(new PipelineError('catalog-unavailable', 'no catalog'));
    await using fake = await createFakeContext({ temporal, environment, query });
    await keepUp(fake.server);
    expect(noted).toMatchObject([{ kind: 'catalog-unavailable' }]);
  });

  test('ends where the namespace belongs to another installation', async () => {
    const { temporal } = failingTemporal(new PipelineError('conflict', 'not our namespace'));
    await using fake = await createFakeContext({ temporal, environment });
    await expect(keepUp(fake.server)).rejects.toMatchObject({ kind: 'conflict' });
    const told: string[] = [];
    using _upkeep = startUpkeep(fake.server, (message) => void told.push(message));
    await vi.waitFor(() => expect(told).toEqual(['not our namespace']));
  });
});
