import { ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import { PipelineError } from '../core/errors.ts';
import { workflowIds } from '../workflows/messages.ts';
import { searchAttributeTypes } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

const retentionSeconds = 30 * 24 * 3600;
/** IndexedValueType of Temporal's API. */
const indexedTypes = { Keyword: 2, Int: 3 } as const;
/** gRPC: what managed services answer to calls they keep for themselves. */
const notForUs = new Set([7, 12]);

export interface UpkeepOptions {
  readonly installation: string;
  readonly maintainEveryMs: number;
}

/**
 * Brings the namespace to what Millrace needs: search attributes, retention, the `maintain`
 * schedule, whose memo claims the namespace for this installation. Idempotent; the server calls
 * it at start and every minute, so that a Temporal that lost everything is mended.
 * @throws PipelineError `conflict` when the namespace belongs to another installation.
 */
export async function assertTemporal(
  access: TemporalAccess,
  options: UpkeepOptions,
): Promise<void> {
  await unlessManaged(() => addSearchAttributes(access));
  await unlessManaged(() => extendRetention(access));
  await assertMaintainSchedule(access, options);
}

async function unlessManaged(call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!notForUs.has((error as { code?: number }).code ?? -1)) throw error;
  }
}

async function addSearchAttributes({ client, namespace }: TemporalAccess): Promise<void> {
  const operator = client.connection.operatorService;
  const { customAttributes } = await operator.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributeTypes).filter(
    ([name]) => customAttributes?.[name] === undefined,
  );
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(
    missing.map(([name, type]) => [name, indexedTypes[type]]),
  );
  await operator.addSearchAttributes({ namespace, searchAttributes });
}

async function extendRetention({ client, namespace }: TemporalAccess): Promise<void> {
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (seconds >= retentionSeconds) return;
  const workflowExecutionRetentionTtl = { seconds: retentionSeconds as never };
  await client.workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl },
  });
}

async function assertMaintainSchedule(
  access: TemporalAccess,
  options: UpkeepOptions,
): Promise<void> {
  const { client, taskQueue, namespace } = access;
  const every = options.maintainEveryMs;
  try {
    await client.schedule.create({
      scheduleId: workflowIds.maintain,
      spec: { intervals: [{ every }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
      memo: { installation: options.installation },
      action: {
        type: 'startWorkflow',
        workflowType: 'maintain',
        workflowId: workflowIds.maintain,
        taskQueue,
        args: [],
        staticSummary: 'start what should run and does not; remove what nobody needs',
      },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const { memo } = await client.schedule.getHandle(workflowIds.maintain).describe();
    if (memo?.['installation'] === options.installation) return;
    throw new PipelineError(
      'conflict',
      `the Temporal namespace ${namespace} belongs to another Millrace installation: ` +
        'give this one its own namespace (TEMPORAL_NAMESPACE)',
    );
  }
}
