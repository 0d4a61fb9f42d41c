import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';

const data = new URL('../node_modules/vega-datasets/data/', import.meta.url);

/** Every change of a row sets `updated_at`, also one that a person makes. */
const touch = `
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$`;

interface ShopTable {
  readonly name: string;
  readonly columns: string;
  /** The rows of a file, which is `$1`. */
  readonly rows: string;
  readonly file: string;
}

/** Public data of the npm package vega-datasets. */
const tables: readonly ShopTable[] = [
  {
    name: 'cars',
    columns: `id int PRIMARY KEY, name text NOT NULL, miles_per_gallon numeric, cylinders int,
      displacement numeric, horsepower int, weight_in_lbs int, acceleration numeric, year date,
      origin text`,
    rows: `SELECT id, car->>'Name', (car->>'Miles_per_Gallon')::numeric, (car->>'Cylinders')::int,
        (car->>'Displacement')::numeric, (car->>'Horsepower')::int, (car->>'Weight_in_lbs')::int,
        (car->>'Acceleration')::numeric, (car->>'Year')::date, car->>'Origin'
      FROM json_array_elements($1::json) WITH ORDINALITY AS cars (car, id)`,
    file: 'cars.json',
  },
  {
    name: 'countries',
    columns: `country text, year int, fertility numeric, life_expect numeric,
      PRIMARY KEY (country, year)`,
    rows: `SELECT country, year, fertility, life_expect
      FROM json_to_recordset($1::json)
        AS countries (country text, year int, fertility numeric, life_expect numeric)`,
    file: 'countries.json',
  },
  {
    name: 'stocks',
    columns: `symbol text, date date, price numeric NOT NULL, PRIMARY KEY (symbol, date)`,
    rows: `SELECT split_part(line, ',', 1), to_date(split_part(line, ',', 2), 'Mon DD YYYY'),
        split_part(line, ',', 3)::numeric
      FROM regexp_split_to_table($1, E'\\r?\\n') WITH ORDINALITY AS lines (line, number)
     WHERE number > 1 AND line <> ''`,
    file: 'stocks.csv',
  },
];

/** Makes and fills the tables that are not there. Those that are there stay as they are. */
export async function fillShop(client: ClientBase): Promise<void> {
  await client.query('BEGIN');
  await client.query(touch);
  for (const table of tables) {
    const { rows } = await client.query<{ found: boolean }>(
      'SELECT to_regclass($1) IS NOT NULL AS found',
      [`public.${table.name}`],
    );
    if (!rows[0]?.found) await createTable(client, table);
  }
  await client.query('COMMIT');
}

async function createTable(
  client: ClientBase,
  { name, columns, rows, file }: ShopTable,
): Promise<void> {
  await client.query(
    `CREATE TABLE ${name} (${columns});
     ALTER TABLE ${name} ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
     CREATE INDEX ON ${name} (updated_at);
     CREATE TRIGGER touch BEFORE UPDATE ON ${name} FOR EACH ROW EXECUTE FUNCTION touch()`,
  );
  await client.query(`INSERT INTO ${name} ${rows}`, [await readFile(new URL(file, data), 'utf8')]);
}
