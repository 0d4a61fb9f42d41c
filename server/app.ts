import { Hono } from 'hono';
import { answerError } from './answers.ts';
import type { ErrorAnswer } from './contract/errors.ts';
import type { ReadyAnswer } from './contract/status.ts';
import type { ServerContext } from './context.ts';
import { checkContentType, checkHost, checkToken, limitBody } from './guard.ts';
import { backfillRoutes } from './routes/backfills.ts';
import { configurationRoutes } from './routes/configuration.ts';
import { destinationRoutes } from './routes/destinations.ts';
import { failedRoutes } from './routes/failed.ts';
import { mappingRoutes } from './routes/mappings.ts';
import { pipelineRoutes } from './routes/pipelines.ts';
import { previewRoutes } from './routes/previews.ts';
import { recoveryRoutes } from './routes/recoveries.ts';
import { runRoutes } from './routes/runs.ts';
import { sourceRoutes } from './routes/sources.ts';
import { stateRoutes } from './routes/states.ts';
import { askWorker, statusRoutes } from './routes/status.ts';
import { syncRoutes } from './routes/syncs.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { traceRoutes } from './routes/traces.ts';

/** All routes. What is not listed before the token check is denied without the token. */
export function createApp(server: ServerContext): Hono {
  const app = new Hono();
  app.onError(answerError(server.log));
  app.use(checkHost(server.environment));
  app.get('/livez', (context) => context.json({ live: true }));
  app.get('/readyz', async (context) => {
    const reasons = await findReasonsToWait(server);
    const answer: ReadyAnswer = { ready: reasons.length === 0, reasons };
    return context.json(answer, answer.ready ? 200 : 503);
  });
  app.use(checkToken(server.environment));
  app.use(checkContentType, limitBody);
  app.route('/v1', statusRoutes(server));
  app.route('/v1', runRoutes(server));
  app.route('/v1/configuration', configurationRoutes(server));
  app.route('/v1/syncs', syncRoutes(server));
  app.route('/v1/pipelines', pipelineRoutes(server));
  app.route('/v1/recoveries', recoveryRoutes(server));
  app.route('/v1/backfills', backfillRoutes(server));
  app.route('/v1/sources', sourceRoutes(server));
  app.route('/v1/sources', tokenRoutes(server));
  app.route('/v1/sources', stateRoutes(server));
  app.route('/v1/sources', previewRoutes(server));
  app.route('/v1', traceRoutes(server));
  app.route('/v1/destinations', destinationRoutes(server));
  app.route('/v1/mappings', mappingRoutes(server));
  app.route('/v1/failed', failedRoutes(server));
  app.notFound((context) => {
    const message = `there is no ${context.req.method} ${context.req.path} here`;
    const advice = 'Check the path and the method.';
    const answer: ErrorAnswer = { error: { kind: 'not-found', message, advice } };
    return context.json(answer, 404);
  });
  return app;
}

async function findReasonsToWait(server: ServerContext): Promise<readonly string[]> {
  const { catalog, temporal } = server;
  const reasons: string[] = [];
  await catalog.query('SELECT 1').catch(() => reasons.push('the catalog database is away'));
  const { state, message } = temporal.health;
  if (state !== 'ok') reasons.push(message ?? 'Temporal is away');
  else reasons.push(...(await findWorker(server)));
  return reasons;
}

async function findWorker({ temporal }: ServerContext): Promise<readonly string[]> {
  try {
    return (await askWorker(temporal)) ? [] : ['no worker polls the task queue yet'];
  } catch (error) {
    return [error instanceof Error ? error.message : 'Temporal is away'];
  }
}
