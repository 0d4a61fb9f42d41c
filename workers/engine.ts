import { failurePolicies, isFailureKind } from '../core/failures.ts';
import { routeOf } from '../activities/group-route.ts';
import type { Engine } from '../activities/dependencies.ts';
import type { TemporalAccess } from '../temporal/client.ts';
import { startBackfill } from '../temporal/backfills.ts';
import { startRestream, startReview } from '../temporal/reviews.ts';
import { requestSync } from '../temporal/syncs.ts';

/** Lets activities start workflows without knowing Temporal's client. */
export function createEngine(access: TemporalAccess): Engine {
  return {
    startSync: async (source) => void (await requestSync(access, source)),
    startReview: (group) =>
      startReview(access, {
        ...group,
        advice: isFailureKind(group.kind) ? failurePolicies[group.kind].advice : '',
      }),
    startBackfill: async (backfill) => void (await startBackfill(access, backfill)),
    startRestream: ({ restreamId, groupId, eventCount, ...route }) =>
      startRestream(
        access,
        { restreamId, groupId, requestedBy: 'maintain' },
        `restream of ${routeOf(route)}: ${eventCount} failed events`,
      ),
  };
}
