import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { readState } from '../../local/instance.ts';
import { programBehind } from '../../local/processes.ts';
import type { UpOptions } from '../../local/up.ts';
import { removeHome } from './remove-home.ts';
import { until } from './until.ts';

const support = fileURLToPath(new URL('./', import.meta.url));

export interface LocalFixture extends AsyncDisposable {
  readonly options: UpOptions;
  readonly home: string;
}

export async function setUp(change: Partial<UpOptions> = {}): Promise<LocalFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-local-'));
  const home = join(folder, 'home');
  return {
    home,
    options: {
      home,
      ports: 'auto',
      commands: {
        server: [process.execPath, join(support, 'stand-ins', 'server.ts')],
        worker: [process.execPath, join(support, 'stand-ins', 'worker.ts')],
      },
      ...change,
    },
    async [Symbol.asyncDispose]() {
      await removeHome(home);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function query(url: string | null, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url ?? '' });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Processes that were started for a home; Postgres hides its environment, its command tells. */
export function processesOf(home: string, postgresData = ''): number[] {
  const mine = (pid: string): boolean => {
    try {
      const [command, environment] = ['cmdline', 'environ'].map((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0'),
      );
      return (
        environment?.includes(`MILLRACE_HOME=${home}`) === true ||
        (postgresData !== '' && command?.includes(postgresData) === true)
      );
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter(mine).map(Number);
}

export async function programOf(home: string, name: string): Promise<number> {
  return until(`the program of ${name}`, async () => {
    const wrapper = (await readState(home)).children?.[name];
    return wrapper === undefined ? undefined : programBehind(wrapper.pid);
  });
}
