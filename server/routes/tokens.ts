import { Hono } from 'hono';
import { PipelineError } from '../../core/errors.ts';
import { sourceModule } from '../../connectors/registry.ts';
import { listTokens, revokeTokens, rotateToken } from '../../store/catalog/source-tokens.ts';
import { readBody } from '../answers.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import {
  revokeBody,
  rotateBody,
  type RevokeAnswer,
  type RotateAnswer,
  type TokenAnswer,
} from '../contract/tokens.ts';

const author = 'admin';

/** Tokens of one source. What is changed here is in force on this server at once. */
export function tokenRoutes(server: ServerContext): Hono {
  const { catalog } = server;
  return new Hono()
    .get('/:name/tokens', async (context) => {
      const source = await requirePosted(server, context.req.param('name'));
      const tokens = await listTokens(catalog);
      const answer: TokenAnswer[] = tokens
        .filter((one) => one.source === source)
        .map(({ sha256: _hash, ...token }) => token);
      return context.json(answer);
    })
    .post('/:name/tokens', async (context) => {
      const source = await requirePosted(server, context.req.param('name'));
      const { overlapMs } = await readBody(context, rotateBody);
      const issued = await rotateToken(catalog, { source, overlapMs, author });
      await server.refreshIntake();
      const answer: RotateAnswer = { source, ...issued };
      return context.json(answer);
    })
    .post('/:name/tokens/revoke', async (context) => {
      const source = await requirePosted(server, context.req.param('name'));
      const { tokenId } = await readBody(context, revokeBody);
      const revoked = await revokeTokens(catalog, { source, tokenId, author });
      await server.refreshIntake();
      const answer: RevokeAnswer = { source, revoked };
      return context.json(answer);
    });
}

/** @throws PipelineError `not-found`, `invalid-request` */
async function requirePosted(server: ServerContext, name: string): Promise<string> {
  const { sources } = await readCurrent(server);
  const { type } = requireBlock('source', sources, name);
  if ((await sourceModule(type)).intakeRules) return name;
  throw new PipelineError('invalid-request', `source ${name} is a ${type}: it has no tokens`);
}
