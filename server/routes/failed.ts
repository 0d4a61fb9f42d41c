import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { failurePolicies, isFailureKind } from '../../core/failures.ts';
import { listFailedEvents, listGroups, readGroup } from '../../store/catalog/groups.ts';
import { askForRestream } from '../../store/catalog/restreams.ts';
import { requestRetry } from '../../temporal/reviews.ts';
import { readQuery } from '../answers.ts';
import {
  groupDetailQuery,
  groupQuery,
  type GroupDetailAnswer,
  type RetryAnswer,
} from '../contract/failed.ts';
import type { ServerContext } from '../context.ts';
import { explainDelay } from '../request-syncs.ts';

export function failedRoutes(server: ServerContext): Hono {
  const { catalog } = server;
  return new Hono()
    .get('/groups', async (context) => {
      return context.json(await listGroups(catalog, readQuery(context, groupQuery)));
    })
    .get('/groups/:id', async (context) => {
      const { limit, raw } = readQuery(context, groupDetailQuery);
      const id = context.req.param('id');
      return context.json(await readDetail(server, id, { limit, includeRaw: raw === '1' }));
    })
    .post('/groups/:id/retry', async (context) => {
      return context.json(await retry(server, context.req.param('id')));
    });
}

async function readDetail(
  { catalog }: ServerContext,
  id: string,
  options: { readonly limit: number; readonly includeRaw: boolean },
): Promise<GroupDetailAnswer> {
  const group = await readGroup(catalog, id);
  const events = await listFailedEvents(catalog, { groupId: group.groupId, ...options });
  return {
    group,
    advice: adviceOf(group.kind),
    events: events.map(({ raw, ...event }) => ({
      ...event,
      ...(raw && { raw: raw.toString('base64') }),
    })),
  };
}

/** The request is in the catalog first: if Temporal does not hear of it, `maintain` finds it. */
async function retry({ catalog, temporal }: ServerContext, id: string): Promise<RetryAnswer> {
  const group = await readGroup(catalog, id);
  const { groupId } = group;
  const asked = { restreamId: randomUUID(), groupId, author: 'admin' };
  const restreamId = await askForRestream(catalog, asked);
  if (restreamId === null) return { groupId, open: 0, restreamId, delayed: null };
  const { openCount: open } = await readGroup(catalog, groupId);
  const subject = { ...group, advice: adviceOf(group.kind) };
  const delayed = await temporal
    .use((access) => requestRetry(access, subject, restreamId))
    .then(() => null, explainDelay);
  return { groupId, open: Math.max(open, group.openCount), restreamId, delayed };
}

function adviceOf(kind: string): string {
  return isFailureKind(kind) ? failurePolicies[kind].advice : '';
}
