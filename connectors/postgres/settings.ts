import { z } from 'zod';
import { PipelineError } from '../../core/errors.ts';

const role = z.string().min(1).max(63);
const different = (names: readonly string[]) => new Set(names).size === names.length;

export const postgresSettings = z.strictObject({
  /** postgres://user:password@host:port/database; without it a database of the embedded server. */
  url: z
    .url({ protocol: /^postgres(ql)?$/, error: 'must begin with postgres:// or postgresql://' })
    .optional()
    .describe('postgres://user:password@host:port/database; default: the embedded server'),
  grants: z
    .strictObject({
      select: z
        .array(role)
        .min(1)
        .max(100)
        .refine(different, 'names a role twice')
        .describe('roles that may read tables which are made from now on'),
    })
    .optional()
    .describe('rights that tables get when they are made'),
});

export type PostgresSettings = z.infer<typeof postgresSettings>;

export function requireUrl(
  { url }: Pick<PostgresSettings, 'url'>,
  what: string,
  defaultUrl: string | undefined,
): string {
  const chosen = url ?? defaultUrl;
  if (chosen !== undefined) return chosen;
  throw new PipelineError(
    'invalid-config',
    `${what} has no url, and there is no embedded PostgreSQL here: write its url in millrace.yaml`,
  );
}

/** Host, port and database: never user or password. */
export function placeOf({ url }: PostgresSettings): string | null {
  return url === undefined ? null : describeUrl(url);
}

export function describeUrl(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || '5432'}${pathname}`;
}
