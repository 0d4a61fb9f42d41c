import { z } from 'zod';
import { matchTable, type TablePattern, toPattern } from './table-pattern.ts';

const name = z.string().min(1).max(63);

const lag = z
  .string()
  .regex(/^\d{1,6}(ms|s|m|h)$/, 'must be a duration such as 500ms, 5s or 2m')
  .describe('how long a written cursor value may take to be committed; default 2s');

const different = (names: readonly string[]) => new Set(names).size === names.length;
const twice = 'names a column twice';

const tableSettings = z.strictObject({
  key: z
    .union([name, z.array(name).min(1).max(32).refine(different, twice)])
    .optional()
    .describe('columns that tell rows apart; default: the primary key'),
  cursor: name
    .optional()
    .describe('column that grows with every change; without it the whole table is read each time'),
  columns: z
    .array(name)
    .min(1)
    .max(1600)
    .refine(different, twice)
    .optional()
    .describe('default: all columns'),
  where: z.string().min(1).optional().describe('SQL condition on the columns of the table'),
  nulls: z
    .literal('first')
    .optional()
    .describe('rows whose cursor is null are read once, before all others'),
  lag: lag.optional(),
  zone: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('time zone of a cursor of type timestamp, such as UTC or Europe/Berlin'),
});

const pattern = z
  .string()
  .regex(/^[^.\s][^.]*\.[^.]+$/, 'must be schema.table, such as public.orders or public.*');

export const postgresSourceSettings = z.strictObject({
  url: z
    .url({ protocol: /^postgres(ql)?$/, error: 'must begin with postgres:// or postgresql://' })
    .optional()
    .describe('postgres://user:password@host:port/database; only the source of the demo has none'),
  tables: z
    .union([
      pattern,
      z
        .record(pattern, tableSettings.nullable())
        .refine((tables) => Object.keys(tables).length > 0, 'must name a table'),
    ])
    .describe('schema.*, or a map of schema.table to how it is followed'),
  exclude: z.array(pattern).default([]).describe('tables that patterns leave out'),
});

export type PostgresSourceSettings = z.infer<typeof postgresSourceSettings>;
export type TableSettings = z.infer<typeof tableSettings>;

/** How the tables that a name or pattern stands for are followed. */
export interface TableRule {
  readonly pattern: TablePattern;
  readonly settings: TableSettings;
}

/** Whole names before patterns. */
export function rulesOf({ tables }: PostgresSourceSettings): readonly TableRule[] {
  const map = typeof tables === 'string' ? { [tables]: {} } : tables;
  const rules = Object.entries(map).map(([text, settings]) => ({
    pattern: toPattern(text),
    settings: settings ?? {},
  }));
  return rules.toSorted((a, b) => Number(b.pattern.isExact) - Number(a.pattern.isExact));
}

export function isExcluded({ exclude }: PostgresSourceSettings, lane: string): boolean {
  return exclude.some((text) => matchTable(toPattern(text), lane));
}

export function keyOf({ key }: TableSettings): readonly string[] | undefined {
  return key === undefined ? undefined : [key].flat();
}

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export function lagMsOf({ lag: text = '2s' }: TableSettings): number {
  const [, count, unit = 's'] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  return Number(count) * unitMs[unit as keyof typeof unitMs];
}
