import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Environment } from '../../../config/environment.ts';
import type { ServerContext } from '../../../server/context.ts';
import type { TemporalLink } from '../../../server/temporal-link.ts';
import type { Catalog, QueryResult } from '../../../store/catalog/catalog.ts';

export const token = 'the-token-of-the-home';

export interface FakeContext extends AsyncDisposable {
  readonly server: ServerContext;
  /** What was logged, line by line. */
  readonly logged: readonly string[];
  /** Every statement that reached the catalog. */
  readonly statements: readonly string[];
}

export interface FakeParts {
  /** Answers a statement; by default there are no rows. */
  readonly query?: (sql: string) => Promise<unknown[]>;
  readonly temporal?: Pick<TemporalLink, 'health' | 'use' | 'note'>;
  readonly environment?: Partial<Environment>;
}

/** A server without catalog and Temporal: what a route does before, and when they fail. */
export async function createFakeContext(parts: FakeParts = {}): Promise<FakeContext> {
  const { query = () => Promise.resolve([]), temporal = awayTemporal(), environment = {} } = parts;
  const folder = await mkdtemp(join(tmpdir(), 'millrace-server-'));
  const adminTokenFile = join(folder, 'admin-token');
  await writeFile(adminTokenFile, `${token}\n`);
  const logged: string[] = [];
  const statements: string[] = [];
  const run = async <Row>(sql: string): Promise<QueryResult<Row>> => {
    statements.push(sql);
    const rows = (await query(sql)) as Row[];
    return { rows, rowCount: rows.length };
  };
  const catalog: Catalog = {
    query: run,
    transaction: (work) => work({ query: run }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const server = {
    catalog,
    environment: {
      adminTokenFile,
      allowedHosts: [],
      secretKey: new Uint8Array(32),
      ...environment,
    },
    installation: 'i-1',
    refreshIntake: () => Promise.resolve(),
    temporal,
    log: pino({ base: null }, { write: (line: string) => void logged.push(line) }),
  } as unknown as ServerContext;
  const dispose = () => rm(folder, { recursive: true, force: true });
  return { server, logged, statements, [Symbol.asyncDispose]: dispose };
}

function awayTemporal(): NonNullable<FakeParts['temporal']> {
  const message = 'Temporal is away';
  return {
    health: { state: 'unavailable', message },
    use: () => Promise.reject(new Error(message)),
    note: () => undefined,
  };
}
