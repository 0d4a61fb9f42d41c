import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { PipelineError } from '../core/errors.ts';
import type { Environment } from '../config/environment.ts';
import { refusal } from './answers.ts';

const maxBodyBytes = 1024 * 1024;
const loopback = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Answers only calls that were meant for us: a web page cannot reach us under a name of its own. */
export function checkHost(environment: Pick<Environment, 'allowedHosts'>): MiddlewareHandler {
  return async (context, next) => {
    if (isAllowedHost(environment, context.req.header('host'))) return next();
    return context.json(
      refusal('this host name is not served here', 'Add it to MILLRACE_ALLOWED_HOSTS.'),
      421,
    );
  };
}

export function isAllowedHost(
  { allowedHosts }: Pick<Environment, 'allowedHosts'>,
  header = '',
): boolean {
  const host = header.replace(/:\d+$/, '').toLowerCase();
  return loopback.has(host) || allowedHosts.some((allowed) => allowed.toLowerCase() === host);
}

/** Denies everything without the admin token of the home. */
export function checkToken(environment: Pick<Environment, 'adminTokenFile'>): MiddlewareHandler {
  return async (context, next) => {
    const given = /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '')?.[1];
    if (given !== undefined && (await isAdminToken(environment, given))) return next();
    return context.json(
      refusal(
        'the token is missing or wrong',
        'Send the admin token of the home as "Authorization: Bearer …".',
      ),
      401,
    );
  };
}

export async function isAdminToken(
  { adminTokenFile }: Pick<Environment, 'adminTokenFile'>,
  given: string,
): Promise<boolean> {
  const wanted = (await readFile(adminTokenFile, 'utf8')).trim();
  return wanted !== '' && isEqual(given, wanted);
}

/** Writes are JSON and say so: no form of a web page can send that. */
export const checkContentType: MiddlewareHandler = async (context, next) => {
  const type = context.req.header('content-type') ?? '';
  if (['GET', 'HEAD'].includes(context.req.method) || /^application\/json\s*(;|$)/i.test(type)) {
    return next();
  }
  throw new PipelineError('invalid-request', 'send JSON, with "Content-Type: application/json"');
};

export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: maxBodyBytes,
  onError: (context) =>
    context.json(refusal('the body is larger than 1 MiB', 'Send less at once.'), 413),
});

function isEqual(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}
