import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { Child } from '../../local/child.ts';
import { keepSecret, openHome } from '../../local/home.ts';
import { choosePorts } from '../../local/ports.ts';
import { preparePostgres } from '../../local/postgres.ts';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import { choosePostgresPlace } from '../../local/postgres-place.ts';

/** A PostgreSQL of its own, without the rest of an instance. */
export interface PostgresServer extends AsyncDisposable {
  readonly majorVersion: number;
  /** Of its first process; it is started again when it ends. */
  pid(): Promise<number>;
  /** Makes a database; answers its url. */
  createDatabase(name: string): Promise<string>;
  /** Moves a database to which nobody is connected to a folder of another disk, new there. */
  moveDatabase(name: string, folder: string): Promise<void>;
  /** Runs statements that only a superuser may. */
  asSuperuser(sql: string): Promise<void>;
}

/**
 * @param bin folder of its programs; default: the embedded one
 * @param settings of the server, beside ours
 */
export async function startPostgres(
  bin?: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-postgres-'));
  const home = await openHome(join(directory, 'home'));
  const environment = bin === undefined ? {} : { MILLRACE_PG_BIN: bin };
  const place = await choosePostgresPlace(home.directory, undefined, environment);
  const { postgres: port } = await choosePorts('auto', undefined, []);
  const { signal } = new AbortController();
  const embedded = await preparePostgres(home, place, { port, signal });
  const more = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { spec } = embedded;
  const child = new Child({ ...spec, command: [...spec.command, ...more] });
  const dispose = async () => {
    await child.stop();
    if (!place.data.startsWith(directory)) {
      await rm(dirname(place.data), { recursive: true, force: true });
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await child.start();
    await embedded.completeRole();
  } catch (error) {
    await dispose();
    throw error;
  }
  const asSuperuser = async (sql: string) => {
    const url = new URL(`${embedded.baseUrl}/postgres`);
    url.username = 'postgres';
    url.password = await keepSecret(join(home.directory, 'postgres-superuser-password'));
    await queryAt(url.toString(), sql);
  };
  return {
    majorVersion: place.majorVersion,
    async pid() {
      const text = await readFile(join(place.data, 'postmaster.pid'), 'utf8');
      return Number(text.split('\n')[0]);
    },
    createDatabase: (name) => ensureDatabase(embedded.baseUrl, name),
    async moveDatabase(name, folder) {
      await mkdir(folder, { mode: 0o700 });
      if (place.identity) await chown(folder, place.identity.uid, place.identity.gid);
      const tablespace = `${name}_place`;
      await asSuperuser(`CREATE TABLESPACE ${tablespace} LOCATION '${folder}'`);
      await asSuperuser(`ALTER DATABASE ${name} SET TABLESPACE ${tablespace}`);
    },
    asSuperuser,
    [Symbol.asyncDispose]: dispose,
  };
}

export async function queryAt<Row>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // the query says what is wrong; a fault may strike beside it
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Row[];
  } finally {
    await client.end();
  }
}
