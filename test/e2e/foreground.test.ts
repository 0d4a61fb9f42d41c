import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readState } from '../../local/instance.ts';
import { runCli, spawnCli, withoutOurs } from '../support/instance.ts';
import { processesOf } from '../support/local-fixture.ts';
import { removeHome } from '../support/remove-home.ts';
import { until } from '../support/until.ts';

const debianPostgres = '/usr/lib/postgresql/15/bin';

test(`a folder of one's own: init, up -f, data, sync, Ctrl-C twice (Postgres: ${existsSync(debianPostgres) ? "Debian's 15" : 'embedded'})`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-own-'));
  const home = join(folder, 'home');
  const environment = {
    ...withoutOurs(process.env),
    MILLRACE_HOME: home,
    ...(existsSync(debianPostgres) && { MILLRACE_PG_BIN: debianPostgres }),
  };
  const cli = (...args: string[]) => runCli(args, folder, environment);
  try {
    expect(await cli('init', 'mine', '--json')).toMatchObject({
      code: 0,
      stdout: '{"file":"mine/millrace.yaml"}\n',
    });
    expect(await cli('init', 'mine')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('mine/millrace.yaml is here already: edit it'),
    });
    expect(await readFile(join(folder, 'mine/millrace.yaml'), 'utf8')).toContain('pipelines:');

    const up = spawnCli(['up', '-f', 'mine/millrace.yaml', '--ports', 'auto'], folder, environment);
    const ended = once(up, 'exit');
    let said = '';
    up.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the ready block', async () => said.includes('What to try next'), 120_000);
    await mkdir(join(folder, 'mine/data'));
    await writeFile(join(folder, 'mine/data/people.csv'), 'id,name\n1,Ann\n2,Bo\n');
    const sync = await cli('sync', '--json');
    expect(sync).toMatchObject({ code: 0 });
    expect(JSON.parse(sync.stdout).tables).toMatchObject([{ table: 'people', rowsLoaded: 2 }]);

    const { postgresData } = await readState(home);
    up.kill('SIGINT');
    up.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    expect(processesOf(home, postgresData)).toEqual([]);
    expect(await cli('down')).toMatchObject({ code: 0, stderr: `nothing ran in ${home}\n` });
  } finally {
    await removeHome(home);
    await rm(folder, { recursive: true, force: true });
  }
});
