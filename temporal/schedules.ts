import { ScheduleNotFoundError, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { workflowIds, type SyncSourceInput } from '../workflows/messages.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

export interface WantedSchedule {
  readonly source: string;
  readonly everyMs: number;
}

/** Creates, changes and removes the schedules of sources until they are as wanted. Idempotent. */
export async function applySchedules(
  access: TemporalAccess,
  wanted: readonly WantedSchedule[],
): Promise<void> {
  const names = new Set(wanted.map(({ source }) => workflowIds.sync(source)));
  for await (const { scheduleId } of access.client.schedule.list()) {
    if (scheduleId.startsWith(workflowIds.sync('')) && !names.has(scheduleId)) {
      await access.client.schedule.getHandle(scheduleId).delete();
    }
  }
  for (const schedule of wanted) await applySchedule(access, schedule);
}

async function applySchedule(
  { client, taskQueue }: TemporalAccess,
  { source, everyMs }: WantedSchedule,
) {
  const scheduleId = workflowIds.sync(source);
  const current = await describe(client, scheduleId);
  const intervals = [{ every: everyMs }];
  if (current === null) {
    const args: [SyncSourceInput] = [{ source }];
    await client.schedule.create({
      scheduleId,
      spec: { intervals },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
      action: {
        type: 'startWorkflow',
        workflowType: 'syncSource',
        workflowId: scheduleId,
        taskQueue,
        args,
        staticSummary: `sync ${source}, on schedule`,
        typedSearchAttributes: [{ key: searchAttributes.source, value: source }],
      },
    });
  } else if (current.spec.intervals?.[0]?.every !== everyMs) {
    const handle = client.schedule.getHandle(scheduleId);
    await handle.update((previous) => ({ ...previous, spec: { intervals } }) as never);
  }
}

async function describe(client: Client, scheduleId: string) {
  try {
    return await client.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
