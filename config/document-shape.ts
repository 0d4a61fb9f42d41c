import { z } from 'zod';
import { PipelineError } from '../core/errors.ts';

const name = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,62}$/,
    'must begin with a-z, hold only a-z, 0-9, _ and -, and have at most 63 characters',
  );

const connector = z.looseObject({ type: z.string().min(1) });

const units: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const schedule = z
  .string()
  .regex(/^every [1-9]\d{0,5}[smhd]$/, 'must be like "every 5s", "every 1m" or "every 2h"');

const write = z
  .enum(['append', 'merge', 'replace'], 'must be append, merge or replace')
  .describe(
    'append: every event, once; merge: the newest row of each key; replace: the rows of the newest full refresh. Default: replace for full refreshes, merge with a key, else append',
  );

const field = z.string().min(1, 'names no field');

const stream = z.strictObject({
  write: write.optional(),
  key: z
    .union([
      field.transform((one) => [one]),
      z
        .array(field)
        .min(1, 'needs at least one field')
        .refine((fields) => new Set(fields).size === fields.length, 'names a field twice'),
    ])
    .optional()
    .describe('field, or fields, that tell the rows of a merge table apart'),
  version: field.optional().describe('field that says which row of a key is newer'),
});

/** The form of `millrace.yaml`. What stands below `type` is checked by the connector itself. */
export const documentShape = z.strictObject({
  destinations: z.record(name, connector).default({}),
  sources: z.record(name, connector).default({}),
  pipelines: z
    .record(
      name,
      z.strictObject({
        source: z.string(),
        destinations: z.array(z.string()).min(1, 'needs at least one destination'),
        schedule: schedule.optional().describe('every 5s, 1m, 2h …; default: at up and on sync'),
        write: write.optional(),
        streams: z.record(z.string(), stream).optional().describe('how single streams are written'),
      }),
    )
    .default({}),
  demo: z
    .strictObject({
      events: z.string().optional().describe('an http source that "npm start" posts events to'),
      database: z
        .string()
        .optional()
        .describe('a postgres source without a url: "npm start" fills its database'),
    })
    .optional()
    .describe('sources that are fed for ten minutes after each "npm start"'),
});

export type ConfigurationDocument = z.infer<typeof documentShape>;

/** Milliseconds of `every 5s`. */
export function intervalOf(text: string): number {
  const match = /^every (\d+)([smhd])$/.exec(text);
  const unit = units[match?.[2] ?? ''];
  if (!match || unit === undefined) {
    throw new PipelineError('invalid-config', `"${text}" is no schedule: write it like "every 5m"`);
  }
  return Number(match[1]) * unit;
}
