import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
} from '@temporalio/client';
import { workflowIds, type SyncSourceInput } from '../workflows/messages.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

export interface WantedSchedule {
  readonly pipeline: string;
  readonly source: string;
  readonly destinations: readonly string[];
  readonly everyMs: number;
  /** The pipeline is paused. */
  readonly paused: boolean;
}

/**
 * Creates, changes and removes the schedules of pipelines until they are as wanted: what somebody
 * changed in Temporal by hand is set back. Idempotent, also where two do it at once.
 */
export async function applySchedules(
  access: TemporalAccess,
  wanted: readonly WantedSchedule[],
): Promise<void> {
  const names = new Set(wanted.map(({ source }) => workflowIds.sync(source)));
  for await (const { scheduleId } of access.client.schedule.list()) {
    if (scheduleId.startsWith(workflowIds.sync('')) && !names.has(scheduleId)) {
      await unlessGone(access.client.schedule.getHandle(scheduleId).delete());
    }
  }
  for (const schedule of wanted) await applySchedule(access, schedule);
}

async function applySchedule(access: TemporalAccess, wanted: WantedSchedule): Promise<void> {
  const { client, taskQueue } = access;
  const scheduleId = workflowIds.sync(wanted.source);
  const definition = define(wanted, taskQueue);
  const current = await describe(client, scheduleId);
  if (current === null) {
    // Who was first made the same one; if not, the next round sees it.
    await client.schedule.create({ scheduleId, ...definition }).catch((error: unknown) => {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    });
  } else if (!isAsWanted(current, definition)) {
    await unlessGone(client.schedule.getHandle(scheduleId).update(() => definition));
  }
}

type Definition = ReturnType<typeof define>;

/** A run that is due while the one before goes on is skipped: that one finds what is new. */
function define(
  { pipeline, source, destinations, everyMs, paused }: WantedSchedule,
  taskQueue: string,
) {
  const args: [SyncSourceInput] = [{ source }];
  const into = destinations.join(', ');
  const every = describeInterval(everyMs);
  return {
    spec: { intervals: [{ every: everyMs }] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 60_000 },
    state: { paused, note: noteOf({ pipeline, into, every, paused }) },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'syncSource',
      workflowId: workflowIds.sync(source),
      taskQueue,
      args,
      staticSummary: `sync ${source} into ${into}, every ${every} (pipeline ${pipeline})`.slice(
        0,
        200,
      ),
      staticDetails: [
        `Pipeline **${pipeline}**: loads what is new in source **${source}** into **${into}**, every ${every}.`,
        '',
        '- beside it, now: `millrace sync ' + pipeline + '`, or trigger the schedule',
        '- hold it: `millrace pause ' + pipeline + '`',
        '- change the interval: `schedule:` in millrace.yaml, then `millrace apply`',
      ].join('\n'),
      typedSearchAttributes: [{ key: searchAttributes.source, value: source }],
    },
  };
}

function noteOf(about: { pipeline: string; into: string; every: string; paused: boolean }): string {
  const { pipeline, into, every, paused } = about;
  const what = `pipeline ${pipeline}, every ${every} into ${into}`;
  if (paused) return `${what}: paused in Millrace, "millrace resume ${pipeline}" lets it go on`;
  return `${what}: kept as millrace.yaml says; to hold it, "millrace pause ${pipeline}"`;
}

function isAsWanted(current: ScheduleDescription, wanted: Definition): boolean {
  return describeSettings(current) === describeSettings(wanted);
}

/** All that a person could have changed, as text that is equal for equal settings. */
function describeSettings({ spec, state, policies, action }: Settings): string {
  const every = (spec.intervals ?? []).map((interval) => interval.every);
  const { workflowType, taskQueue, staticSummary } = action;
  const run = [workflowType, taskQueue, staticSummary];
  return JSON.stringify([every, state.paused, state.note, policies.overlap, ...run]);
}

interface Settings {
  readonly spec: { readonly intervals?: readonly { readonly every: unknown }[] };
  readonly state: { readonly paused: boolean; readonly note?: string };
  readonly policies: { readonly overlap?: string | undefined };
  readonly action: Record<'workflowType' | 'taskQueue', string> & { staticSummary?: string };
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** As it stands in `millrace.yaml`. */
function describeInterval(ms: number): string {
  const [name, unit] = units.find(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / unit}${name}`;
}

async function describe(client: Client, scheduleId: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

async function unlessGone(call: Promise<void>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  });
}
