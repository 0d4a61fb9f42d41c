import { afterAll, beforeAll, describe } from 'vitest';
import { postgresSource } from '../../connectors/postgres/index.ts';
import { PostgresSource } from '../../connectors/postgres/source.ts';
import type { ReplayableSource } from '../../core/source.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { startGate } from '../support/tcp-gate.ts';
import { testSource, type SourceFixture } from './source-suite.ts';

let server: PostgresServer;
let databases = 0;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

/** How the number of a record becomes its cursor. */
const cursors = {
  'bigint NOT NULL': 'n',
  'timestamptz NOT NULL': `timestamptz '2026-01-01 00:00Z' + n * interval '1 microsecond'`,
  'timestamp NOT NULL': `timestamp '1969-12-31 23:59:59.999990' + n * interval '1 microsecond'`,
};

for (const [type, value] of Object.entries(cursors)) {
  describe(`a cursor of type ${type}`, () => {
    testSource('a table of PostgreSQL', () => setUp(type, value), { grows: true });
  });
}

async function setUp(type: string, value: string): Promise<SourceFixture> {
  databases += 1;
  const url = await server.createDatabase(`source_${databases}`);
  const gate = await startGate(Number(new URL(url).port));
  const gated = new URL(url);
  gated.port = String(gate.port);
  const settings = postgresSource.settings.parse({
    url: gated.toString(),
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
         INSERT INTO "${lane}" SELECT n, ${value}, 'record ' || n
           FROM generate_series(${from}::bigint, ${to - 1}) AS n`,
      );
    },
    numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
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
