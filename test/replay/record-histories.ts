import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { must } from '../../core/errors.ts';
import {
  connectTemporal,
  readTemporalSettings,
  type TemporalAccess,
} from '../../temporal/client.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

/**
 * `node test/replay/record-histories.ts` runs an instance through every workflow and writes what
 * Temporal recorded to test/fixtures/histories. To be run on a released commit, never on the
 * branch under test: a workflow must go on from histories that older code wrote.
 */
const folder = fileURLToPath(new URL('../fixtures/histories/', import.meta.url));

const config = `
destinations: { warehouse: { type: postgres }, second: { type: postgres } }
sources:
  shop: { type: file, streams: { orders: { path: orders-*.ndjson } } }
pipelines:
  shop: { source: shop, destinations: [warehouse, second] }
`;

async function record(): Promise<void> {
  await using instance = await startInstance({ config });
  const access = await connectTemporal(
    readTemporalSettings({ TEMPORAL_ADDRESS: instance.urls.temporal }),
  );
  await mkdir(folder, { recursive: true });
  await load(instance, 'orders-1', (n) => n + 0.5);
  await load(instance, 'orders-2', (n) => (n % 20 === 0 ? 'secret value' : n + 0.5));
  const waiting = 'MillraceReview="waiting"';
  const [one, other] = await until('two reviews', () => listAtLeast(access, waiting, 2));
  await write(access, 'review-waiting', must(other));
  await retryTooEarly(access, instance, must(one));
  await instance.json(['mapping', 'set', 'shop', 'orders', 'value', '--type', 'text']);
  await access.client.workflow.getHandle(must(one)).signal('retry');
  await access.client.workflow.getHandle(must(one)).result();
  await write(access, 'review-resolved', must(one));
  await instance.json(['backfill', 'shop', '--stream', 'orders'], [0, 5]);
  for (const [name, query] of Object.entries(ended)) {
    const [id] = await until(name, () => listAtLeast(access, query, 1));
    await write(access, name, must(id));
  }
  await access.close();
}

/** The newest run of each of these is recorded. */
const ended = {
  'batch-with-failed-events':
    'WorkflowType="processBatch" AND MillraceParked > 0 AND MillraceRun="live" AND ExecutionStatus="Completed"',
  'batch-of-a-restream':
    'WorkflowType="processBatch" AND MillraceRun="restream" AND ExecutionStatus="Completed"',
  backfill: 'WorkflowType="backfillSource" AND ExecutionStatus="Completed"',
  sync: 'WorkflowType="syncSource" AND ExecutionStatus="Completed"',
  restream: 'WorkflowType="restream" AND ExecutionStatus="Completed"',
  maintain: 'WorkflowType="maintain" AND ExecutionStatus="Completed"',
};

async function load(instance: TestInstance, file: string, value: (n: number) => unknown) {
  const rows = Array.from({ length: 100 }, (_, n) => JSON.stringify({ id: n, value: value(n) }));
  await instance.write(`${file}.ndjson`, `${rows.join('\n')}\n`);
  await instance.json(['sync', 'shop'], [0, 5]);
}

async function retryTooEarly(access: TemporalAccess, instance: TestInstance, id: string) {
  await access.client.workflow.getHandle(id).signal('retry');
  await until('the second attempt', async () => {
    const [row] = await instance.catalog<{ open: number }>(
      `SELECT count(*)::int AS open FROM millrace.failed_events WHERE state = 'open' AND attempts = 2`,
    );
    const { searchAttributes } = await access.client.workflow.getHandle(id).describe();
    return (row?.open ?? 0) > 0 && searchAttributes['MillraceReview']?.[0] === 'waiting';
  });
}

async function listAtLeast({ client }: TemporalAccess, query: string, count: number) {
  const ids: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
  return ids.length >= count && ids;
}

/** Without the names of the process and machine that ran it. */
async function write({ client }: TemporalAccess, name: string, workflowId: string): Promise<void> {
  const history = await client.workflow.getHandle(workflowId).fetchHistory();
  const nameless = historyToJSON(history).replaceAll(
    /("identity": ?)"[^"]*"/g,
    (_, key: string) => `${key}"worker"`,
  );
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(JSON.parse(nameless))}\n`);
}

await record();
