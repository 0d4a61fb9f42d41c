import { Client, Connection, isGrpcServiceError, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { PipelineError } from '../core/errors.ts';

/** NOT_FOUND of gRPC. */
const grpcNotFound = 5;

/** A client of one namespace, and the task queue that our workers poll. */
export interface TemporalAccess {
  readonly client: Client;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly address: string;
  close(): Promise<void>;
}

export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly connectionOptions: ConnectionOptions;
}

/** Reads `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, TLS and API key the way every Temporal SDK does. */
export function readTemporalSettings(
  environment: NodeJS.ProcessEnv = process.env,
): TemporalSettings {
  const { connectionOptions, namespace } = loadClientConnectConfig({
    overrideEnvVars: Object.fromEntries(
      Object.entries(environment).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  });
  return {
    address: connectionOptions.address ?? '127.0.0.1:7233',
    namespace: namespace ?? 'default',
    taskQueue: environment['MILLRACE_TASK_QUEUE'] ?? 'millrace',
    connectionOptions: { ...connectionOptions, connectTimeout: '10s' } as ConnectionOptions,
  };
}

/**
 * Connects to the server that the environment names.
 * @throws PipelineError `temporal-unavailable`, naming the address.
 */
export async function connectTemporal(settings = readTemporalSettings()): Promise<TemporalAccess> {
  const { address, namespace, taskQueue, connectionOptions } = settings;
  let connection: Connection;
  try {
    connection = await Connection.connect(connectionOptions);
  } catch (error) {
    throw unavailable(address, error);
  }
  const client = new Client({ connection, namespace });
  return { client, namespace, taskQueue, address, close: () => connection.close() };
}

/** True when some worker of ours polled the task queue within the last minute. */
export async function isWorkerPolling({
  client,
  namespace,
  taskQueue,
}: TemporalAccess): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: 1, // workflow
  });
  return (pollers ?? []).length > 0;
}

/** False only where the server says so: an API key may not be allowed to ask. */
export async function hasNamespace({ client, namespace }: TemporalAccess): Promise<boolean> {
  try {
    await client.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    return !(isGrpcServiceError(error) && error.code === grpcNotFound);
  }
}

function unavailable(address: string, cause: unknown): PipelineError {
  const hint = 'start the server, or correct TEMPORAL_ADDRESS (and TLS or API key)';
  return new PipelineError('temporal-unavailable', `cannot reach Temporal at ${address}: ${hint}`, {
    cause,
  });
}
