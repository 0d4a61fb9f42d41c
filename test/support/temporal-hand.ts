import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowExecutionInfo } from '@temporalio/client';
import type { TestInstance } from './instance.ts';

/** What somebody with a Temporal client can do to an instance. */
export interface TemporalHand extends AsyncDisposable {
  readonly client: Client;
  /** Workflows that run now; Temporal's lists lag behind a little. */
  running(type: string): Promise<readonly WorkflowExecutionInfo[]>;
  /** Lets it begin anew from the last of its workflow tasks. */
  reset(workflow: WorkflowExecutionInfo): Promise<void>;
  /** Names of all schedules. */
  schedules(): Promise<readonly string[]>;
  retentionDays(): Promise<number>;
  searchAttributes(): Promise<readonly string[]>;
}

const namespace = 'default';

export async function connectTemporal({ urls }: TestInstance): Promise<TemporalHand> {
  const connection = await Connection.connect({ address: urls.temporal });
  const client = new Client({ connection, namespace });
  return {
    client,
    async running(type) {
      const query = `WorkflowType = "${type}" AND ExecutionStatus = "Running"`;
      return Array.fromAsync(client.workflow.list({ query }));
    },
    async reset({ workflowId, runId }) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      const last = history.events?.findLast((event) => event.workflowTaskCompletedEventAttributes);
      if (!last) throw new Error('none of its workflow tasks was completed yet');
      await connection.workflowService.resetWorkflowExecution({
        namespace,
        workflowExecution: { workflowId, runId },
        reason: 'by hand',
        requestId: randomUUID(),
        workflowTaskFinishEventId: last.eventId ?? null,
      });
    },
    async schedules() {
      const found = await Array.fromAsync(client.schedule.list());
      return found.map(({ scheduleId }) => scheduleId).sort();
    },
    async retentionDays() {
      const { config } = await connection.workflowService.describeNamespace({ namespace });
      return Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400;
    },
    async searchAttributes() {
      const { customAttributes } = await connection.operatorService.listSearchAttributes({
        namespace,
      });
      return Object.keys(customAttributes ?? {});
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
