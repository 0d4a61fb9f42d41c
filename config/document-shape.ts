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
        write: z
          .enum(['append'], 'must be append: other write modes come with later releases')
          .optional()
          .describe('append: every event, once'),
      }),
    )
    .default({}),
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
