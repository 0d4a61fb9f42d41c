import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { changeShop } from './change-shop.ts';
import { postEvents } from './post-events.ts';
import { readSettings, type DemoProcessSettings } from './settings.ts';
import { fillShop } from './shop-tables.ts';

/**
 * A child of `up`: fills the database of the demo, says that it is ready, then feeds the demo's
 * sources until the time is over, and ends. Nothing waits for it: it stops at once when told to.
 */
async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const settings = readSettings(env);
  const { until, databaseUrl } = settings;
  if (databaseUrl !== undefined) await fill(databaseUrl);
  process.stdout.write('{"ready":true}\n');
  if (Date.now() >= until) return;
  const { signal } = new AbortController(); // a signal to the process ends it without more
  const [posted, changes] = await Promise.all([
    settings.events && post(settings, settings.events, signal),
    databaseUrl === undefined ? 0 : changeShop({ ...settings, url: databaseUrl, signal }),
  ]);
  process.stdout.write(`${JSON.stringify({ ended: true, ...posted, changes })}\n`);
}

async function fill(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await fillShop(client);
  await client.end();
}

function post(
  settings: DemoProcessSettings,
  { url, tokenFile }: NonNullable<DemoProcessSettings['events']>,
  signal: AbortSignal,
) {
  return postEvents({
    ...settings,
    url,
    token: readFileSync(tokenFile, 'utf8').trim(),
    run: randomUUID().slice(0, 8),
    signal,
    patienceMs: Number.POSITIVE_INFINITY,
  });
}

await main(process.env);
process.exit(); // connections that are kept open would keep it here
