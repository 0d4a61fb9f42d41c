import { z } from 'zod';
import type { IntakeRules } from '../../core/intake.ts';

const MiB = 2 ** 20;

const secret = z
  .string()
  .regex(
    /^(whsec_)?[A-Za-z0-9+/]{32,}={0,2}$/,
    'must be a secret of Standard Webhooks: whsec_ and base64 of at least 24 bytes',
  );

export const httpSettings = z.strictObject({
  stream: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('stream of events without a type; default: the name of the source'),
  eventTypeField: z
    .string()
    .min(1)
    .optional()
    .describe('field of the event that names its type, such as kind or header.kind'),
  requireEventType: z
    .boolean()
    .default(false)
    .describe('events without a type go to review as unmapped-stream'),
  queryToken: z
    .boolean()
    .default(false)
    .describe('the token may stand in the query (?token=…), for senders without headers'),
  signature: z
    .strictObject({
      secret: z.union([secret, z.array(secret).min(1).max(5)]),
      toleranceSeconds: z.number().min(1).max(86_400).default(300),
    })
    .optional()
    .describe('requests have to be signed as Standard Webhooks says; they then need no token'),
  maxBodyBytes: z
    .int()
    .min(1024)
    .max(16 * MiB)
    .default(8 * MiB)
    .describe('of one request, inflated'),
  maxEventsPerSecond: z.number().positive().optional().describe('beyond it: 429'),
  maxStoredBytes: z
    .int()
    .min(MiB)
    .default(8192 * MiB)
    .describe('of received events in the catalog; beyond it: 429'),
});

export type HttpSettings = z.infer<typeof httpSettings>;

export function toRules(source: string, settings: HttpSettings): IntakeRules {
  const { signature } = settings;
  return {
    defaultStream: settings.requireEventType ? null : (settings.stream ?? source),
    eventTypeField: settings.eventTypeField ?? null,
    allowsQueryToken: settings.queryToken,
    signature: signature
      ? { secrets: [signature.secret].flat(), toleranceMs: signature.toleranceSeconds * 1000 }
      : null,
    maxBodyBytes: settings.maxBodyBytes,
    eventsPerSecond: settings.maxEventsPerSecond ?? null,
    quotaBytes: settings.maxStoredBytes,
  };
}
