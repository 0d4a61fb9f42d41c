import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { ensureWorkflowBundle } from '../../workers/workflow-bundle.ts';

const folder = fileURLToPath(new URL('../fixtures/histories/', import.meta.url));
const names = readdirSync(folder).filter((file) => file.endsWith('.json'));
const texts = new Map(names.map((name) => [name, readFileSync(`${folder}${name}`, 'utf8')]));

describe('recorded histories', () => {
  let codePath: string;

  beforeAll(async () => {
    const logging = { forward: {}, filter: 'OFF' }; // one test wants a history to fail
    Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
    codePath = await ensureWorkflowBundle();
  }, 60_000);

  /** Under its own id: some workflows read what they are for from it. */
  const replay = (text: string) => {
    const id = /"workflowId":"([^"]+)"/.exec(text)?.[1];
    return Worker.runReplayHistory({ workflowBundle: { codePath } }, JSON.parse(text), id);
  };

  test.each(names)('%s goes on with the workflows of today', async (name) => {
    await replay(texts.get(name) ?? '');
  });

  test('are there of every workflow', () => {
    const types = [...texts.values()].map(
      (text) => /"workflowType":{"name":"(\w+)"}/.exec(text)?.[1],
    );
    expect(new Set(types)).toEqual(
      new Set([
        'backfillSource',
        'maintain',
        'processBatch',
        'restream',
        'reviewFailures',
        'syncSource',
      ]),
    );
  });

  test('would notice a step that has another name', async () => {
    const text = texts.get('sync.json') ?? '';
    await expect(replay(text.replaceAll('planBatches', 'planRanges'))).rejects.toThrow(
      /planBatches/,
    );
  });

  test.each(names)('%s holds no value of a row and no secret', (name) => {
    const text = texts.get(name) ?? '';
    const payloads = [...text.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)].map(([, data = '']) =>
      Buffer.from(data, 'base64').toString(),
    );
    const all = [text, ...payloads].join('\n');
    expect(all).not.toMatch(/secret value|postgres:\/\/|password/);
    expect(payloads.length).toBeGreaterThan(0);
    expect(payloads.filter((payload) => payload.length > 4_096)).toEqual([]);
  });
});
