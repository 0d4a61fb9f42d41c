import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { PipelineError } from '../core/errors.ts';
import { codeOf } from './home.ts';

/** The role that Millrace itself uses: no superuser, owner of the databases it makes. */
export const databaseRole = 'millrace';

const connectTimeoutMs = 5_000;
const maxNameBytes = 63;

export function databaseUrl(baseUrl: string, name: string): string {
  return `${baseUrl.replace(/\/$/, '')}/${encodeURIComponent(name)}`;
}

/**
 * Creates a database of the embedded server, unless it is there. May be repeated, also at once.
 * @param baseUrl URL of the server without a database (MILLRACE_WAREHOUSE_BASE_URL)
 * @returns the URL of the database
 */
export async function ensureDatabase(baseUrl: string, name: string): Promise<string> {
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw new PipelineError(
      'invalid-config',
      `"${name}" is too long for the name of a database (${maxNameBytes} bytes). Shorten the destination's name, or give it a url.`,
    );
  }
  await withClient(databaseUrl(baseUrl, 'postgres'), async (client) => {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount === 0) await createDatabase(client, name);
  });
  return databaseUrl(baseUrl, name);
}

/** template0, because nobody is ever connected to it: a session in the template blocks the copy. */
async function createDatabase(client: Client, name: string): Promise<void> {
  try {
    await client.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`);
  } catch (error) {
    if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** Makes the role with its password, or gives it this password again. */
export async function ensureRole(superuserUrl: string, password: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [databaseRole]);
    const verb = found.rowCount === 0 ? 'CREATE' : 'ALTER';
    await client.query(
      `${verb} ROLE ${databaseRole} LOGIN CREATEDB PASSWORD ${escapeLiteral(password)}`,
    );
  });
}

/** Connects once; says in words why it did not work. The message names no password. */
export async function checkDatabase(url: string, setting: string): Promise<void> {
  try {
    await withClient(url, (client) => client.query('SELECT 1'));
  } catch (error) {
    const reason = error instanceof Error && error.message !== '' ? error.message : codeOf(error);
    throw new PipelineError(
      'catalog-unavailable',
      `${setting} (${withoutPassword(url)}) cannot be used: ${reason ?? 'no answer'}. Check that the database is up and that host, port, user, password and name are right.`,
      { cause: error },
    );
  }
}

export async function canConnect(url: string): Promise<boolean> {
  try {
    await withClient(url, (client) => client.query('SELECT 1'));
    return true;
  } catch {
    return false;
  }
}

function withoutPassword(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return 'not a URL';
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'millrace local',
  });
  client.on('error', () => undefined); // a lost session shows in the query that it breaks
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
