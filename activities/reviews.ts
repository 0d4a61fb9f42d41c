import { shortPath } from '../core/field-types.ts';
import { failurePolicies, isFailureKind } from '../core/failures.ts';
import {
  groupsNeedingReview,
  listFailedEvents,
  readGroup,
  type GroupRow,
} from '../store/catalog/groups.ts';
import { routeOf } from './group-route.ts';
import type { Activities, GroupInput, GroupStatus, SourceInput } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** Reviews open at once; the catalog holds the others until some are done. */
export const maxOpenReviews = 500;
const sampleCount = 5;

export function createStartReviews({
  catalog,
  engine,
}: ActivityDependencies): Activities['startReviews'] {
  return async function startReviews({ source }: SourceInput): Promise<void> {
    for (const group of await groupsNeedingReview(catalog, maxOpenReviews)) {
      if (group.source === source) await engine.startReview(group);
    }
  };
}

export function createCountOpen({ catalog }: ActivityDependencies): Activities['countOpen'] {
  return async function countOpen({ groupId }: GroupInput): Promise<GroupStatus> {
    const group = await readGroup(catalog, groupId);
    const samples = await listFailedEvents(catalog, { groupId, limit: sampleCount });
    const { openCount, restreamingCount } = group;
    return {
      open: openCount,
      restreaming: restreamingCount,
      route: routeOf(group),
      details: describe(group, samples),
    };
  };
}

/** What an engineer reads in the Web UI: what failed, where, what to do. No values. */
function describe(
  group: GroupRow,
  samples: readonly {
    readonly state: string;
    readonly batchId: string;
    readonly ordinal: number;
    readonly lineNumber: number | null;
    readonly message: string;
  }[],
): string {
  const advice = isFailureKind(group.kind) ? failurePolicies[group.kind].advice : '';
  return [
    `**${group.openCount} failed events** wait for a decision: ${group.title}`,
    '',
    `- ${routeOf(group)}`,
    `- stage \`${group.stage}\`, kind \`${group.kind}\`${group.field === null ? '' : `, field \`${shortPath(group.field)}\``}`,
    ...(group.expected === null
      ? []
      : [`- expected ${group.expected}, observed ${group.observed ?? 'something else'}`]),
    `- first ${group.firstFailedAt}, last ${group.lastFailedAt}`,
    `- ${advice}`,
    '- then signal `retry` (no input): the events are loaded exactly once',
    '',
    '| batch | event | line | what is wrong |',
    '|---|--:|--:|---|',
    ...samples
      .filter(isOpen)
      .map(
        ({ batchId, ordinal, lineNumber, message }) =>
          `| ${batchId} | ${ordinal} | ${lineNumber ?? ''} | ${message.replaceAll('|', '\\|')} |`,
      ),
  ].join('\n');
}

const isOpen = ({ state }: { readonly state: string }) => state === 'open';
