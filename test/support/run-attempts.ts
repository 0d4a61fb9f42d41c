import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import type { Activities } from '../../activities/contract.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { armFailpointsFromEnvironment } from '../../store/failpoints/arm-failpoints.ts';
import { createActivities } from '../../activities/index.ts';
import { readEnvironment } from '../../config/environment.ts';
import { isPipelineError } from '../../core/errors.ts';
import { openCatalog } from '../../store/catalog/catalog.ts';
import { readInstallation } from '../../store/catalog/installation.ts';
import { connectTemporal } from '../../temporal/client.ts';
import { createDependencies } from '../../workers/dependencies.ts';

/** What is put around the parts that a worker is made of. */
export interface AttemptParts {
  readonly dependencies?: (real: ActivityDependencies) => ActivityDependencies;
  readonly activities?: (real: Activities, dependencies: ActivityDependencies) => Activities;
}

/**
 * Does what a worker does, in this process and without workflows, as lines on stdin say:
 * `plan SOURCE`, or `batch ID` for everything that a batch's workflow does. What fails is tried
 * again, as Temporal would. Lines are worked on at once; says on stdout what became of each, in
 * their order.
 */
export async function runAttempts(parts: AttemptParts = {}): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const activities = await openActivities(resources, parts);
  process.stdout.write('ready\n');
  let said = Promise.resolve();
  for await (const line of createInterface(process.stdin)) {
    const result = attemptLine(activities, line);
    said = said.then(async () => void process.stdout.write(`${JSON.stringify(await result)}\n`));
  }
  await said;
}

async function attemptLine(activities: Activities, line: string) {
  const [verb, subject = ''] = line.split(' ');
  const attempt = new Attempt(activities);
  try {
    const result = await (verb === 'plan' ? attempt.plan(subject) : attempt.process(subject));
    return { result, failures: attempt.failures };
  } catch {
    return { result: [], failures: attempt.failures }; // the last of them says why
  }
}

async function openActivities(
  resources: AsyncDisposableStack,
  { dependencies: give = (real) => real, activities: put = (real) => real }: AttemptParts,
): Promise<Activities> {
  const environment = readEnvironment();
  armFailpointsFromEnvironment();
  const idleInTransactionMs = 60_000 * environment.patience;
  const catalog = resources.use(openCatalog({ url: environment.catalogUrl, idleInTransactionMs }));
  const access = await connectTemporal();
  resources.defer(() => access.close());
  const installation = await readInstallation(catalog);
  const dependencies = give({
    ...createDependencies({ environment, catalog, installation, access, resources }),
    attempt: () => 1,
    signal: () => new AbortController().signal,
  });
  return put(createActivities(dependencies), dependencies);
}

class Attempt {
  readonly failures: string[] = [];
  readonly #activities: Activities;

  constructor(activities: Activities) {
    this.#activities = activities;
  }

  async plan(source: string): Promise<number> {
    const input = { source, window: 100 };
    const { batches } = await this.#retry(() => this.#activities.planBatches(input));
    return batches.length;
  }

  async process(batchId: string): Promise<readonly string[]> {
    const { destinations, road } = await this.#retry(() => this.#activities.extract({ batchId }));
    const outcomes = await Promise.all(
      destinations.map((destination) => this.#deliver({ batchId, destination }, road)),
    );
    return outcomes.includes('needs-staging') ? this.process(batchId) : outcomes;
  }

  async #deliver(
    at: { readonly batchId: string; readonly destination: string },
    road: 'typed' | undefined,
  ): Promise<string> {
    const activities = this.#activities;
    const schema = await this.#retry(() => activities.syncSchema({ ...at, renew: false }));
    if (schema.outcome !== 'ready') return schema.outcome;
    if (road === 'typed') {
      const nothingMapped = { mapAttempt: '', loadManifest: '' };
      return (await this.#retry(() => activities.load({ ...at, ...nothingMapped, road }))).outcome;
    }
    const mapped = await this.#retry(() => activities.mapBatch(at));
    const input: Parameters<Activities['load']>[0] = { ...at, ...mapped };
    return (await this.#retry(() => activities.load(input))).outcome;
  }

  async #retry<T>(step: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await step();
      } catch (error) {
        this.failures.push(isPipelineError(error) ? error.kind : String(error));
        if (tries > 20) throw error;
        await sleep(100);
      }
    }
  }
}
