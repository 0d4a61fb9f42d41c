import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { upDetached } from '../../local/detach.ts';
import { readInstance, readState, type InstanceInfo } from '../../local/instance.ts';
import { programOf, query, setUp } from '../support/local-fixture.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const project = fileURLToPath(new URL('../../', import.meta.url));
const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  'root runs Postgres as nobody, with its data where nobody can reach it (skipped where not run as root)',
  async () => {
    await using fixture = await setUp();
    await upDetached(fixture.options);
    const { postgresData = '' } = await readState(fixture.home);
    const postgres = await programOf(fixture.home, 'Postgres');
    expect((await stat(`/proc/${postgres}`)).uid).toBe((await stat(postgresData)).uid);
    expect((await stat(postgresData)).uid).not.toBe(0);
    expect(postgresData.startsWith('/var/lib/millrace/')).toBe(true);
  },
);

/** A clone below /root cannot be read by another user. */
const othersCanRead =
  isRoot && (await isOpenToAll(project)) && (await isOpenToAll(process.execPath));

test.skipIf(!othersCanRead)(
  'an ordinary user has the data in the home (skipped where not run as root, or where others cannot read the clone)',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-user-'));
    await run('chown', ['daemon:daemon', folder]); // initdb wants a user whom the system knows
    await chmod(folder, 0o755);
    await using owner = await setUp();
    const { info: theirs } = await upDetached(owner.options);
    const home = join(folder, 'home');
    const { commands } = owner.options;
    const user = spawn(
      'setpriv',
      [
        '--reuid=daemon',
        '--regid=daemon',
        '--clear-groups',
        process.execPath,
        join(project, 'local', 'supervise.ts'),
        JSON.stringify({ home, ports: 'auto', commands }),
      ],
      {
        cwd: folder,
        env: { PATH: process.env.PATH, TEMPORAL_ADDRESS: theirs.temporal },
        stdio: 'ignore',
      },
    );
    const info = await until('its start', async (): Promise<InstanceInfo | undefined> => {
      const instance = await readInstance(home);
      return instance?.phase === 'ready' ? instance.info : undefined;
    });
    expect(await query(info.warehouseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await readState(home)).postgresData).toBe(join(home, 'postgres'));
    user.kill('SIGTERM');
    await until('its end', async () => (await readInstance(home)) === null, 5_000);
    await rm(folder, { recursive: true });
  },
);

async function isOpenToAll(path: string): Promise<boolean> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
  }
  return true;
}
