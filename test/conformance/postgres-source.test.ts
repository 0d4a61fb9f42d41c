import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { postgresSource } from '../../connectors/postgres/index.ts';
import { PostgresSource } from '../../connectors/postgres/source.ts';
import type { ReplayableSource } from '../../core/source.ts';
import { startProxyFor } from '../support/fault-proxy/fault-proxy.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { testCopies, type CopyingFixture } from './source-copies.ts';
import { testSource } from './source-suite.ts';

const debian15 = '/usr/lib/postgresql/15/bin';

/** How the number of a record becomes its cursor. */
const cursors = {
  'bigint NOT NULL': 'n',
  'timestamptz NOT NULL': `timestamptz '2026-01-01 00:00Z' + n * interval '1 microsecond'`,
  'timestamp NOT NULL': `timestamp '1969-12-31 23:59:59.999990' + n * interval '1 microsecond'`,
} as const;
type CursorType = keyof typeof cursors;
const { signal } = new AbortController();

describe('the embedded PostgreSQL', () =>
  testPostgres(undefined, Object.keys(cursors) as CursorType[]));

if (existsSync(`${debian15}/initdb`)) {
  describe('the oldest PostgreSQL', () => testPostgres(debian15, ['timestamptz NOT NULL']));
} else {
  test.skip(`PostgreSQL 15 as a source: ${debian15} is not installed`, () => undefined);
}

function testPostgres(bin: string | undefined, types: readonly CursorType[]): void {
  let server: PostgresServer;
  let databases = 0;
  beforeAll(async () => {
    server = await startPostgres(bin);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  for (const type of types) {
    const open = async () => {
      databases += 1;
      return setUp(await server.createDatabase(`source_${databases}`), type);
    };
    testSource(`a table with a cursor of type ${type}`, open, { grows: true });
    testCopies(`a table with a cursor of type ${type}`, open);
  }
}

async function setUp(url: string, type: CursorType): Promise<CopyingFixture> {
  const gate = await startProxyFor(url);
  const settings = postgresSource.settings.parse({
    url: gate.urlOf(url),
    tables: { 'public.*': { key: 'n', cursor: 'at', lag: '0s' } },
  });
  const opened: ReplayableSource[] = [];
  return {
    open() {
      const source = new PostgresSource('shop', settings);
      opened.push(source);
      return source;
    },
    async add(lane, from, to) {
      await queryAt(
        url,
        `CREATE TABLE IF NOT EXISTS "${lane}" (n bigint PRIMARY KEY, at ${type}, text text);
         INSERT INTO "${lane}" SELECT n, ${cursors[type]}, 'record ' || n
           FROM generate_series(${from}::bigint, ${to - 1}) AS n`,
      );
    },
    numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
    async mappingOf(source, lane) {
      const stream = lane.replace('public.', '');
      const { fields = [] } = (await source.importSchema?.(stream, signal)) ?? {};
      const columns = fields.map(({ path, type: mapped }) => {
        return { path, column: path, type: mapped, by: 'automapper' } as const;
      });
      const table = { schema: 'shop', name: stream };
      const names = { source: 'shop', stream, destination: 'warehouse', version: 1, extra: false };
      return { ...names, table, columns, merge: { key: ['n'] } };
    },
    async drop(lane) {
      await queryAt(url, `DROP TABLE "${lane}"`);
    },
    async goAway() {
      gate.shut();
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) await one[Symbol.asyncDispose]();
      await gate[Symbol.asyncDispose]();
    },
  };
}
