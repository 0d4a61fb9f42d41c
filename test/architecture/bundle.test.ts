import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';

const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
const quiet = () => undefined;
const logger = {
  log: quiet,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
};

describe('the workflow bundle', () => {
  let sources: readonly string[];

  beforeAll(async () => {
    const { code } = await bundleWorkflowCode({ workflowsPath, logger });
    const [, map = ''] =
      /sourceMappingURL=data:application\/json;[^,]*base64,(\S+)/.exec(code) ?? [];
    ({ sources } = JSON.parse(Buffer.from(map, 'base64').toString()) as { sources: string[] });
  });

  test('builds, which a module of Node would prevent, and holds every workflow', () => {
    for (const name of [
      'sync-source',
      'process-batch',
      'review-failures',
      'restream',
      'maintain',
    ]) {
      expect(sources.some((source) => source.endsWith(`workflows/${name}.ts`))).toBe(true);
    }
  });

  test('holds of the project nothing but workflows/: they name the cached bundle', () => {
    const own = sources.filter((source) => /[.]ts$/.test(source) && !/node_modules/.test(source));
    expect(own.filter((source) => !/(^|\/)workflows\/[^/]+[.]ts$/.test(source))).toEqual([]);
    expect(own.length).toBeGreaterThan(5);
  });
});
