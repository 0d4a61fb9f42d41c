import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { postgresDestination } from '../../connectors/postgres/index.ts';
import { startProxyFor, type FaultProxy } from '../support/fault-proxy/fault-proxy.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import type { DestinationFixture, Identity } from './destination-fixture.ts';
import { testPipes } from './destination-pipes.ts';
import { testDestination } from './destination-suite.ts';

const debian15 = '/usr/lib/postgresql/15/bin';

/** What the owner of a warehouse may have set, and what may change nothing here. */
const defaults = {
  default_transaction_isolation: 'repeatable read',
  synchronous_commit: 'off',
};

describe('the embedded PostgreSQL', () => testPostgres('PostgreSQL 17', undefined));
describe('the same with other defaults', () =>
  testPostgres('PostgreSQL 17 with defaults of its own', undefined, defaults));

if (existsSync(`${debian15}/initdb`)) {
  describe('the oldest PostgreSQL', () => testPostgres('PostgreSQL 15', debian15));
} else {
  test.skip(`PostgreSQL 15 as a destination: ${debian15} is not installed`, () => undefined);
}

function testPostgres(
  name: string,
  bin: string | undefined,
  settings: Readonly<Record<string, string>> = {},
): void {
  let server: PostgresServer;
  let databases = 0;
  beforeAll(async () => {
    server = await startPostgres(bin, settings);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const open = async () => {
    databases += 1;
    return setUp(await server.createDatabase(`conformance_${databases}`));
  };
  testDestination(name, open);
  testPipes(name, open);
}

function setUp(url: string): DestinationFixture {
  const ways: FaultProxy[] = [];
  const openAt = (at: string, { installation = 'ours', name = 'warehouse' }: Identity = {}) =>
    postgresDestination.open({ url: at }, { installation, name });
  return {
    encoding: postgresDestination.encoding,
    open: (identity) => openAt(url, identity),
    async openLosingCommit() {
      const way = await startProxyFor(url);
      way.cutAnswers('COMMIT');
      ways.push(way);
      return openAt(way.urlOf(url));
    },
    async openAway() {
      const away = new URL(url);
      away.port = '9'; // discard: nobody listens
      return openAt(away.toString());
    },
    async rows({ schema, name }) {
      const rows = await queryAt<{ row: Record<string, string | null> }>(
        url,
        `SELECT jsonb_object_agg(cell.key, cell.value) AS row
           FROM "${schema}"."${name}" AS t, to_jsonb(t) AS j, jsonb_each_text(j) AS cell
          GROUP BY t.ctid`,
      );
      return rows.map(({ row }) => row);
    },
    async [Symbol.asyncDispose]() {
      for (const way of ways) await way[Symbol.asyncDispose]();
    },
  };
}
