import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import type { Activities } from '../../../activities/contract.ts';
import { armFailpointsFromEnvironment } from '../../../store/failpoints/arm-failpoints.ts';
import { createActivities } from '../../../activities/index.ts';
import { readEnvironment } from '../../../config/environment.ts';
import { isPipelineError } from '../../../core/errors.ts';
import { openCatalog } from '../../../store/catalog/catalog.ts';
import { readInstallation } from '../../../store/catalog/installation.ts';
import { connectTemporal } from '../../../temporal/client.ts';
import { createDependencies } from '../../../workers/dependencies.ts';

/**
 * Does what a worker does, in a process of its own and without workflows, as lines on stdin say:
 * `plan SOURCE`, or `batch ID` for everything that a batch's workflow does. What fails is tried
 * again, as Temporal would. Says on stdout what became of it.
 */
const environment = readEnvironment();
armFailpointsFromEnvironment();
await using resources = new AsyncDisposableStack();
const idleInTransactionMs = 60_000 * environment.patience;
const catalog = resources.use(openCatalog({ url: environment.catalogUrl, idleInTransactionMs }));
const access = await connectTemporal();
resources.defer(() => access.close());
const installation = await readInstallation(catalog);
const activities = createActivities({
  ...createDependencies({ environment, catalog, installation, access, resources }),
  attempt: () => 1,
  signal: () => new AbortController().signal,
});
let failures: string[] = [];

process.stdout.write('ready\n');
for await (const line of createInterface(process.stdin)) {
  failures = [];
  const [verb, subject = ''] = line.split(' ');
  const result = verb === 'plan' ? await plan(subject) : await processBatch(subject);
  process.stdout.write(`${JSON.stringify({ result, failures })}\n`);
}

async function plan(source: string): Promise<number> {
  const { batches } = await retry(() => activities.planBatches({ source, window: 100 }));
  return batches.length;
}

async function processBatch(batchId: string): Promise<readonly string[]> {
  const { destinations, road } = await retry(() => activities.extract({ batchId }));
  const outcomes = await Promise.all(
    destinations.map((destination) => deliver({ batchId, destination }, road)),
  );
  return outcomes.includes('needs-staging') ? processBatch(batchId) : outcomes;
}

async function deliver(
  at: { readonly batchId: string; readonly destination: string },
  road: 'typed' | undefined,
): Promise<string> {
  const schema = await retry(() => activities.syncSchema({ ...at, renew: false }));
  if (schema.outcome !== 'ready') return schema.outcome;
  if (road === 'typed') {
    const nothingMapped = { mapAttempt: '', loadManifest: '' };
    return (await retry(() => activities.load({ ...at, ...nothingMapped, road }))).outcome;
  }
  const mapped = await retry(() => activities.mapBatch(at));
  const input: Parameters<Activities['load']>[0] = { ...at, ...mapped };
  return (await retry(() => activities.load(input))).outcome;
}

async function retry<T>(step: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await step();
    } catch (error) {
      failures.push(isPipelineError(error) ? error.kind : String(error));
      if (tries > 20) throw error;
      await sleep(100);
    }
  }
}
