import { Hono } from 'hono';
import { failurePolicies, isFailureKind } from '../../core/failures.ts';
import { recordDecision } from '../../store/catalog/decisions.ts';
import { listFailedEvents, listGroups, readGroup } from '../../store/catalog/groups.ts';
import { requestRetry } from '../../temporal/reviews.ts';
import { readQuery } from '../answers.ts';
import {
  groupDetailQuery,
  groupQuery,
  type GroupDetailAnswer,
  type RetryAnswer,
} from '../contract/failed.ts';
import type { ServerContext } from '../context.ts';

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

async function retry({ catalog, temporal }: ServerContext, id: string): Promise<RetryAnswer> {
  const group = await readGroup(catalog, id);
  const { groupId, openCount: open } = group;
  if (open > 0) {
    const subject = { ...group, advice: adviceOf(group.kind) };
    await temporal.use((access) => requestRetry(access, subject));
    await recordDecision(catalog, { author: 'admin', action: 'retry', subject: groupId });
  }
  return { groupId, open };
}

function adviceOf(kind: string): string {
  return isFailureKind(kind) ? failurePolicies[kind].advice : '';
}
