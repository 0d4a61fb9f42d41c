import { accessSync, constants, readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError, PipelineError } from '../core/errors.ts';
import type { ChildSpec } from './child.ts';
import type { Home } from './home.ts';
import { plainEnvironment } from './postgres.ts';

/** DESIGN §12. The development server takes them at its first start only; the server re-asserts. */
const searchAttributes: Readonly<Record<string, string>> = {
  MillraceSource: 'Keyword',
  MillraceStream: 'Keyword',
  MillraceBatch: 'Keyword',
  MillraceDestination: 'Keyword',
  MillraceReview: 'Keyword',
  MillraceFailure: 'Keyword',
  MillraceRun: 'Keyword',
  MillraceParked: 'Int',
};

const dynamicConfig: Readonly<Record<string, string>> = {
  'system.enableActivityEagerExecution': 'true',
  'frontend.WorkflowPauseEnabled': 'true',
};

const setUpFile = new URL('../node_modules/.millrace-set-up.json', import.meta.url);

export interface TemporalPorts {
  readonly temporal: number;
  readonly temporalUi: number;
}

/**
 * How long Temporal goes on when everything stops. A worker still has to report how its activities
 * ended: one of which Temporal does not hear is repeated only after its heartbeat timeout, which
 * the next start would wait for.
 */
const farewellMs = 1_500;

/** When Temporal may stop while `others` do. */
export async function farewell(others: Promise<unknown>): Promise<void> {
  await Promise.race([others, sleep(farewellMs, undefined, { ref: false })]);
}

/**
 * How Temporal's development server is run, with its state in a file of the home. The file is in
 * WAL mode: a killed server loses nothing.
 * @throws PipelineError `temporal-unavailable` when there is no Temporal on this machine
 */
export function createTemporalSpec(
  home: Home,
  ports: TemporalPorts,
  env: NodeJS.ProcessEnv,
): ChildSpec {
  return {
    name: 'Temporal',
    command: [findTemporalCli(env), 'server', 'start-dev', ...startOptions(home, ports, env)],
    env: plainEnvironment(home),
    cwd: home.directory,
    folder: dirname(home.temporalDatabase),
    stopSignal: 'TERM',
    graceMs: 2_500,
    patience: Math.ceil(farewellMs / 1_000),
    logFile: join(home.logs, 'temporal.log'),
    readyTimeoutMs: 60_000,
    failureKind: 'temporal-unavailable',
    async waitUntilReady({ signal }) {
      while (!(await isServing(ports.temporal))) await sleep(50, undefined, { signal });
    },
  };
}

function startOptions(home: Home, ports: TemporalPorts, env: NodeJS.ProcessEnv): string[] {
  return [
    '--log-level=error',
    '--ip=127.0.0.1',
    `--port=${ports.temporal}`,
    `--ui-port=${ports.temporalUi}`,
    `--db-filename=${home.temporalDatabase}`,
    '--sqlite-pragma=journal_mode=wal',
    '--sqlite-pragma=synchronous=normal',
    ...(env.TEMPORAL_NAMESPACE ? [`--namespace=${env.TEMPORAL_NAMESPACE}`] : []),
    ...toFlags('--search-attribute', searchAttributes),
    ...toFlags('--dynamic-config-value', dynamicConfig),
  ];
}

function toFlags(flag: string, values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
}

/** TEMPORAL_CLI, else what set-up has found (`scripts/temporal-cli.js`). */
export function findTemporalCli(env: NodeJS.ProcessEnv): string {
  const file = env.TEMPORAL_CLI || readSetUp();
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch (error) {
    throw new PipelineError(
      'temporal-unavailable',
      `There is no Temporal here${file === '' ? '' : ` (${file} is no program)`}. Run set-up (node scripts/set-up.js), or name a CLI in TEMPORAL_CLI or a server in TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}

function readSetUp(): string {
  try {
    const stamp: unknown = JSON.parse(readFileSync(setUpFile, 'utf8'));
    const known = typeof stamp === 'object' && stamp !== null && 'temporalCli' in stamp;
    return known && typeof stamp.temporalCli === 'string' ? stamp.temporalCli : '';
  } catch {
    return '';
  }
}

/** Asks the frontend's standard gRPC health check: an open port alone does not yet serve. */
function isServing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const answer = (serving: boolean): void => {
      session.destroy();
      resolve(serving);
    };
    session.on('error', () => answer(false));
    session.setTimeout(2_000, () => answer(false));
    const request = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    request.on('error', () => answer(false));
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(Buffer.concat(chunks).equals(servingAnswer)));
    request.end(healthRequest);
  });
}

const healthService = 'temporal.api.workflowservice.v1.WorkflowService';
/** One uncompressed gRPC message: field 1, the name of the service. */
const healthRequest = Buffer.concat([
  Buffer.from([0, 0, 0, 0, healthService.length + 2, 0x0a, healthService.length]),
  Buffer.from(healthService),
]);
/** Field 1 = SERVING. */
const servingAnswer = Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]);

/**
 * Looks whether a Temporal server of somebody else can be reached, answers, and has our namespace.
 * @throws PipelineError `temporal-unavailable`
 */
export async function checkTemporalAddress(env: NodeJS.ProcessEnv): Promise<void> {
  const { TEMPORAL_ADDRESS: address = '' } = env;
  const [, host = '', port = '7233'] = /^(?:\w+:\/\/)?\[?(.+?)\]?(?::(\d+))?$/.exec(address) ?? [];
  const reason = (await tryConnect(host, Number(port))) ?? (await tryTalk(env));
  if (reason === undefined) return;
  throw new PipelineError(
    'temporal-unavailable',
    `TEMPORAL_ADDRESS names ${address}, which cannot be used (${reason}). Check the address and that the server is up; without TEMPORAL_ADDRESS Millrace runs a Temporal of its own.`,
  );
}

/** The SDK is loaded only where it is needed: every verb of the CLI passes through this file. */
async function tryTalk(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { connectTemporal, hasNamespace, readTemporalSettings } =
    await import('../temporal/client.ts');
  try {
    const access = await connectTemporal(readTemporalSettings(env));
    const found = await hasNamespace(access);
    await access.close();
    return found ? undefined : `it has no namespace "${access.namespace}", see TEMPORAL_NAMESPACE`;
  } catch (error) {
    if (isPipelineError(error)) return 'something listens there, but no Temporal answers';
    throw error;
  }
}

function tryConnect(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 });
    const answer = (reason?: string): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.on('connect', () => answer());
    socket.on('timeout', () => answer('no answer in 5 s'));
    socket.on('error', (error: NodeJS.ErrnoException) => answer(error.code ?? error.message));
  });
}
