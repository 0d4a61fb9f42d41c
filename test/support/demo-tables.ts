import { createHash } from 'node:crypto';
import pg from 'pg';
import { canonicalJsonText, type DemoTable } from './demo-files.ts';

/** What is compared of a table: its number of rows, and one checksum per column. */
export interface TableSum {
  readonly rows: number;
  readonly columns: Readonly<Record<string, string>>;
}

type Row = readonly (string | null)[];

/** Sums of the files, by table. */
export function sumFiles(tables: readonly DemoTable[]): Readonly<Record<string, TableSum>> {
  const sums = tables.map(({ name, records }) => {
    const paths = [...new Set(records.flatMap((record) => [...record.keys()]))].toSorted();
    const rows = records.map((record) => paths.map((path) => record.get(path) ?? null));
    return [name, sum(paths.map(toColumn), rows)] as const;
  });
  return Object.fromEntries(sums);
}

/** Sums of the tables in the warehouse; columns of Millrace's own begin with `_`. */
export async function sumWarehouse(
  url: string,
  names: readonly string[],
): Promise<Readonly<Record<string, TableSum>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const sums: Record<string, TableSum> = {};
    for (const name of names) sums[name] = await sumTable(client, name);
    return sums;
  } finally {
    await client.end();
  }
}

async function sumTable(client: pg.Client, name: string): Promise<TableSum> {
  const { rows: columns } = await client.query<{ column: string; type: string }>(
    `SELECT attname AS column, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\\_%'`,
    [name],
  );
  const query = `SELECT ${columns.map(toExpression).join(', ')} FROM ${name}`;
  const { rows } = await client.query<(string | null)[]>({ text: query, rowMode: 'array' });
  const texts = rows.map((row) =>
    row.map((text, at) =>
      text !== null && columns[at]?.type.startsWith('json') ? canonicalJsonText(text) : text,
    ),
  );
  return sum(
    columns.map(({ column }) => column),
    texts,
  );
}

/** Everything as its exact text; a point in time as the demo writes it. */
function toExpression({ column, type }: { column: string; type: string }): string {
  const quoted = pg.escapeIdentifier(column);
  if (type !== 'timestamp with time zone') return `${quoted}::text`;
  return `to_char(${quoted} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** In the order of whole rows, so that the order of loading does not count and a swap is seen. */
function sum(columns: readonly string[], rows: readonly Row[]): TableSum {
  const places = columns
    .map((name, at) => ({ name, at }))
    .toSorted((one, other) => {
      return one.name < other.name ? -1 : 1;
    });
  const lines = rows
    .map((row) => JSON.stringify(places.map(({ at }) => row[at] ?? null)))
    .toSorted();
  const hashes = places.map(() => createHash('sha256'));
  for (const line of lines) {
    const values = JSON.parse(line) as Row;
    for (const [at, hash] of hashes.entries()) hash.update(`${JSON.stringify(values[at])}\n`);
  }
  const sums = places.map(({ name }, at) => [name, hashes[at]?.digest('hex').slice(0, 16) ?? '']);
  return { rows: rows.length, columns: Object.fromEntries(sums) as Record<string, string> };
}

/** The naming rule of README and DESIGN §8 for these files: small letters, the rest `_`. */
function toColumn(path: string): string {
  return path
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '');
}
