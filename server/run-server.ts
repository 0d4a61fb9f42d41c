import { serve } from '@hono/node-server';
import { createServer, type RequestListener, type ServerOptions } from 'node:http';
import { pino } from 'pino';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError } from '../core/errors.ts';
import { failurePolicies } from '../core/failures.ts';
import { readEnvironment } from '../config/environment.ts';
import { openCatalog, type Catalog } from '../store/catalog/catalog.ts';
import { readInstallation } from '../store/catalog/installation.ts';
import { migrate } from '../store/catalog/migrate.ts';
import { armFailpointsFromEnvironment } from '../store/failpoints/arm-failpoints.ts';
import { createApp } from './app.ts';
import type { ServerContext } from './context.ts';
import { createIntake, type Intake, type IntakeOptions } from './intake/create-intake.ts';
import { isEventsPath } from './intake/events-request.ts';
import { toOriginForm } from './request-target.ts';
import { TemporalLink } from './temporal-link.ts';
import { startUpkeep } from './upkeep.ts';

const retryMs = 250;
const maxHeaders = 100;
const maxConnections = 4_096;
/** Set, not left to Node: who sends slowly, or without end, holds no connection for long. */
const limits: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16 * 1024,
};

export type ServerParts = Pick<IntakeOptions, 'append'>;

const log = pino({ base: null }, pino.destination({ dest: 2, sync: true }));

/** The server as a process of its own: API and upkeep. Runs until SIGTERM or SIGINT. */
export async function runServer(parts: ServerParts = {}): Promise<void> {
  // Whatever a request is doing is in one transaction or can be repeated: no need to wait.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
  try {
    const { context, intake } = await prepare(parts);
    run(context, intake);
  } catch (error) {
    if (!isPipelineError(error)) throw error;
    fail({ kind: error.kind, message: error.message });
  }
}

async function prepare({ append }: ServerParts): Promise<{
  context: ServerContext;
  intake: Intake;
}> {
  const environment = readEnvironment();
  armFailpointsFromEnvironment();
  const catalog = openCatalog({ url: environment.catalogUrl, applicationName: 'millrace-server' });
  const installation = await prepareCatalog(catalog);
  const parts = { catalog, environment, installation, temporal: new TemporalLink(), log };
  const intake = createIntake(parts, { maxHeaders, ...(append && { append }) });
  await intake.refresh().catch(() => undefined); // else within a second
  return { context: { ...parts, refreshIntake: intake.refresh }, intake };
}

/** Waits for the database, brings its schema up to date, reads who we are. */
async function prepareCatalog(catalog: Catalog): Promise<string> {
  for (let said = false; ; said = true) {
    try {
      await migrate(catalog);
      return await readInstallation(catalog);
    } catch (error) {
      if (!isPipelineError(error) || failurePolicies[error.kind].action !== 'retry') throw error;
      if (!said) log.warn({ kind: error.kind, message: error.message }, 'waiting for the catalog');
      await sleep(retryMs);
    }
  }
}

function run(context: ServerContext, intake: Intake): void {
  const { httpHost: hostname, httpPort: port } = context.environment;
  startUpkeep(context, (message) => fail({ kind: 'conflict', message }));
  const listen = createListener(intake);
  const { fetch } = createApp(context);
  const server = serve({ fetch, hostname, port, createServer: listen }, () => {
    process.stdout.write('{"ready":true}\n');
  });
  server.on('error', ({ code }: NodeJS.ErrnoException) => {
    fail({
      kind: 'invalid-config',
      message: `port ${port} of ${hostname} cannot be used: ${code}`,
    });
  });
}

/** Events go straight to the intake, everything else to the routes of the API. */
function createListener(intake: Intake) {
  return ((_options: ServerOptions, api: RequestListener) => {
    const server = createServer(limits, (request, response) => {
      toOriginForm(request);
      if (isEventsPath(request.url)) void intake.handle(request, response);
      else api(request, response);
    });
    server.maxHeadersCount = maxHeaders;
    server.maxConnections = maxConnections;
    return server;
  }) as typeof createServer;
}

function fail(reason: { readonly kind: string; readonly message: string }): never {
  log.fatal(reason, 'the server cannot run');
  process.exit(1);
}
