import { batchIdOf } from '../pipeline/batches/batch-id.ts';
import { cutRestream } from '../pipeline/review/restream-cuts.ts';
import { failpoint } from '../core/failpoints.ts';
import {
  freezeRestream as freeze,
  readRestream,
  unsettledRestreamBatches,
} from '../store/catalog/restreams.ts';
import { readGroup } from '../store/catalog/groups.ts';
import { routeOf } from './group-route.ts';
import type { Activities, RestreamInput, RestreamStatus } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';

const restreamBatchSize = 10_000;
const listed = 50;

export function createFreezeRestream(
  dependencies: ActivityDependencies,
): Activities['freezeRestream'] {
  const { catalog } = dependencies;
  return async function freezeRestream(input: RestreamInput): Promise<RestreamStatus> {
    const { restreamId, groupId, requestedBy } = input;
    const { source } = await readGroup(catalog, groupId);
    await freeze(catalog, {
      restreamId,
      groupId,
      requestedBy,
      batchSize: restreamBatchSize,
      cutsOf: cutRestream,
      batchIdOf: ({ from, to }) =>
        batchIdOf({ run: `restream/${restreamId}`, source, lane: 'restream', from, to }),
    });
    await failpoint('restream-claimed');
    return readStatus(dependencies, restreamId);
  };
}

export function createRestreamStatus(
  dependencies: ActivityDependencies,
): Activities['restreamStatus'] {
  return async function restreamStatus({ restreamId }): Promise<RestreamStatus> {
    return readStatus(dependencies, restreamId);
  };
}

async function readStatus(
  { catalog }: ActivityDependencies,
  restreamId: string,
): Promise<RestreamStatus> {
  const { groupId, eventCount, resolved, open } = await readRestream(catalog, restreamId);
  const batches = await unsettledRestreamBatches(catalog, restreamId);
  const runnable = batches.filter(({ waiting }) => !waiting).map(({ batchId }) => batchId);
  return {
    route: routeOf(await readGroup(catalog, groupId)),
    events: eventCount,
    runnable: runnable.slice(0, listed),
    waiting: batches.length - runnable.length,
    resolved,
    failedAgain: open,
  };
}
