import type { IncomingMessage } from 'node:http';
import { PipelineError } from '../../core/errors.ts';
import type { IntakeRules } from '../../core/intake.ts';
import type { KnownSource, SourceDirectory } from './directory.ts';
import { refuse, Refusal } from './refusal.ts';

export interface Doorkeeper {
  readonly directory: SourceDirectory;
  /** Whether it is the admin token of the home, which may do everything. */
  readonly isAdmin: (token: string) => Promise<boolean>;
}

/** A source that events may be posted to. */
export interface OpenSource {
  readonly name: string;
  readonly rules: IntakeRules;
}

/**
 * Lets a request in, or says why not; who has no valid token learns nothing of what exists. A
 * signature, where the source asks for one, is checked when the body is there.
 * @throws Refusal 401, 403, 404, 409
 */
export async function authorize(
  doorkeeper: Doorkeeper,
  request: IncomingMessage,
  { source, query }: { readonly source: string; readonly query: URLSearchParams },
): Promise<OpenSource> {
  const known = doorkeeper.directory.find(source);
  const token = tokenOf(request, known, query);
  if (token !== null) await checkToken(doorkeeper, token, { source, known });
  else if (!isSigned(request, known)) throw unauthorized();
  return requireOpen(source, known);
}

async function checkToken(
  { directory, isAdmin }: Doorkeeper,
  token: string,
  { source, known }: { readonly source: string; readonly known: KnownSource | undefined },
): Promise<void> {
  const owner = directory.ownerOf(token);
  if (owner === source || (owner !== null && !known)) return;
  if (owner !== null) throw otherSource(source);
  if (!(await isAdmin(token))) throw unauthorized();
}

/** Whether it claims to be; what it says is checked when the body is there. */
function isSigned({ headers }: IncomingMessage, known: KnownSource | undefined): boolean {
  return Boolean(known?.rules?.signature) && headers['webhook-signature'] !== undefined;
}

function tokenOf(
  { headers }: IncomingMessage,
  known: KnownSource | undefined,
  query: URLSearchParams,
): string | null {
  const given = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (given !== undefined || !known?.rules?.allowsQueryToken) return given ?? null;
  return query.get('token');
}

function requireOpen(name: string, known: KnownSource | undefined): OpenSource {
  if (!known) throw new PipelineError('not-found', `there is no source ${name}`);
  const { type, rules, hasPipeline } = known;
  if (!rules) {
    throw new PipelineError(
      'not-found',
      `nothing can be posted to source ${name}: it is a ${type}`,
    );
  }
  if (hasPipeline) return { name, rules };
  throw new Refusal(409, {
    kind: 'conflict',
    message: `source ${name} belongs to no pipeline: nothing would load its events`,
    advice: 'Give it a pipeline in millrace.yaml, then apply.',
  });
}

function unauthorized(): Refusal {
  return new Refusal(401, {
    kind: 'invalid-request',
    message: 'the token is missing or wrong',
    advice: 'Send the token of the source as "Authorization: Bearer …".',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function otherSource(source: string): Refusal {
  return refuse(403, `this token is not for source ${source}`, 'Send the token of this source.');
}
