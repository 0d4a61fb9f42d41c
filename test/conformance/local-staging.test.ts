import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalStaging } from '../../store/staging/local.ts';
import { testStaging } from './staging-suite.ts';

testStaging('local disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-staging-'));
  return {
    staging: createLocalStaging(join(folder, 'staging')),
    truncate: (name, bytes) => truncate(join(folder, 'staging', name), bytes),
    async everything() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
});
