import { isPipelineError, type PipelineError } from '../core/errors.ts';
import { isStoppedLikewise, setDeliveryState } from '../store/catalog/deliveries.ts';
import type { DeliveryInput } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** So often a step meets a refusal of the warehouse before a person has to see to it. */
const triesBeforeStop = 5;
/** A reason travels through workflow histories: it stays short. */
const longestReason = 500;

export interface Stopped {
  readonly outcome: 'stopped';
  /** Why, in words; no values. */
  readonly message: string;
}

/** The delivery stands still under this name, and takes no place of others, until `sync` reopens it. */
export async function stopDelivery(
  { catalog }: ActivityDependencies,
  { batchId, destination }: DeliveryInput,
  { kind, message }: PipelineError,
): Promise<Stopped> {
  await setDeliveryState(catalog, { batchId, destination, state: 'stopped', kind, message });
  return { outcome: 'stopped', message: shortReason(message) };
}

/** What the warehouse refuses a few times it refuses for good. @throws `error` before that, or if it is another */
export async function stopIfRefused(
  dependencies: ActivityDependencies,
  at: DeliveryInput,
  error: unknown,
): Promise<Stopped> {
  if (!isPipelineError(error, 'schema-rejected')) throw error;
  const { catalog, attempt } = dependencies;
  const known = { destination: at.destination, message: error.message };
  // Of a long backlog each would try as often, and the other streams wait behind them.
  if (attempt() < triesBeforeStop && !(await isStoppedLikewise(catalog, known))) throw error;
  return stopDelivery(dependencies, at, error);
}

export function shortReason(message: string): string {
  return message.slice(0, longestReason);
}
