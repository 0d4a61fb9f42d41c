import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { Activities, MaintainResult } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';

const { reconcile, probeDestinations } = proxyActivities<Activities>(activityProfiles.brief);
const { sweep } = proxyActivities<Activities>(activityProfiles.plan);

/**
 * The reconciler, on a schedule: whatever was lost (a signal, a workflow, all of Temporal's
 * state) is started again from the catalog, and what nobody needs any more is removed.
 */
export async function maintain(): Promise<MaintainResult> {
  const { reopened } = await probeDestinations();
  const { started } = await reconcile();
  const { removedFiles } = await sweep();
  setCurrentDetails(`started ${started}, reopened ${reopened}, removed ${removedFiles} files`);
  return { started, reopened, removedFiles };
}
