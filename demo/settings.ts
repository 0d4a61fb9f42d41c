import type { DemoSettings } from '../core/configuration.ts';
import { must, PipelineError } from '../core/errors.ts';

/** What `up` tells the demo's process in MILLRACE_DEMO, as JSON. */
export interface DemoTask extends DemoSettings {
  /** When it ends; milliseconds since 1970. Earlier than now: it only fills its database. */
  readonly until: number;
}

export interface DemoRates {
  readonly eventsPerSecond: number;
  readonly changesPerSecond: number;
}

export interface DemoProcessSettings extends DemoRates {
  readonly until: number;
  readonly databaseUrl: string | undefined;
  readonly events: { readonly url: string; readonly tokenFile: string } | undefined;
}

export const defaultMinutes = 10;
export const defaultRates: DemoRates = { eventsPerSecond: 200, changesPerSecond: 5 };

/** @throws PipelineError `invalid-config`, naming the variable */
export function readSettings(env: NodeJS.ProcessEnv): DemoProcessSettings {
  const task = JSON.parse(must(env['MILLRACE_DEMO'], 'MILLRACE_DEMO')) as DemoTask;
  const { database, events, until } = task;
  const base = env['MILLRACE_WAREHOUSE_BASE_URL'];
  const url = `http://127.0.0.1:${env['MILLRACE_HTTP_PORT']}/v1/events/${events}`;
  const tokenFile = must(env['MILLRACE_ADMIN_TOKEN_FILE'], 'MILLRACE_ADMIN_TOKEN_FILE');
  return {
    ...readRates(env),
    until,
    databaseUrl: database !== undefined && base ? `${base}/${database}` : undefined,
    events: events === undefined ? undefined : { url, tokenFile },
  };
}

/** @throws PipelineError `invalid-config`, naming the variable */
export function readRates(env: NodeJS.ProcessEnv): DemoRates {
  return {
    eventsPerSecond: readAbove0(env, 'MILLRACE_DEMO_RATE', defaultRates.eventsPerSecond),
    changesPerSecond: readAbove0(env, 'MILLRACE_DEMO_CHANGES', defaultRates.changesPerSecond),
  };
}

/** Minutes that the demo feeds its sources for; 0: not at all. */
export function readMinutes(env: NodeJS.ProcessEnv): number {
  if (env['MILLRACE_DEMO_MINUTES'] === '0') return 0;
  return readAbove0(env, 'MILLRACE_DEMO_MINUTES', defaultMinutes);
}

function readAbove0(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (value > 0 && value < 1e6) return value;
  throw new PipelineError('invalid-config', `${name} must be a number above 0`);
}
