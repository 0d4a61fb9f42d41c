import { PipelineError } from '../../core/errors.ts';
import type { CopyResult } from '../../core/destination.ts';

export interface PostgresFault extends Error {
  /** SQLSTATE, or the code of a socket error. */
  readonly code?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly where?: string;
}

/** SQLSTATE classes that are the infrastructure's fault (DESIGN §9): retried for ever. */
const infrastructure = new Set(['08', '25', '28', '3D', '40', '53', '55', '57', '58', 'XX']);

/** Which end of a pipeline a server is: the kind of its faults, and words for them. */
export interface Side {
  readonly kind: 'destination-unavailable' | 'source-unavailable';
  readonly name: string;
  /** What its url belongs to in the configuration. */
  readonly block: string;
}

const warehouse: Side = {
  kind: 'destination-unavailable',
  name: 'the warehouse',
  block: 'the destination',
};

/** User, password or database are wrong: waiting alone does not mend that. */
const needsPerson = /^(28|3D)/;

/** Undefined for codes of sockets, of which `EPIPE` has five letters too. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = error as PostgresFault;
  return typeof code === 'string' && /^[0-9FHPX][0-9A-Z]{4}$/.test(code) ? code : undefined;
}

const socketFault =
  /ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|Connection terminated|timeout e|not queryable|connection error|Client was closed|aborted/i;

/** True where the statement cannot be blamed: the server or the way to it is at fault. */
export function isInfrastructure(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return infrastructure.has(sqlState.slice(0, 2));
  const { code, message } = error as PostgresFault;
  return socketFault.test(`${code ?? ''} ${message}`);
}

/**
 * A fault as a PipelineError with words for people. Never repeats what PostgreSQL says: its
 * messages quote values.
 */
export function toDestinationError(error: unknown, place: string): unknown {
  if (error instanceof PipelineError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === '55P03') {
    return new PipelineError(
      'schema-locked',
      `a table of the warehouse ${place} is locked by another session`,
    );
  }
  if (isInfrastructure(error)) return toUnavailable(error, place);
  if (sqlState === '42501') return rejected(`the role may not do this at ${place}: grant it`);
  if (sqlState?.startsWith('42')) {
    return new PipelineError(
      'pin-outdated',
      `a table at ${place} is not as it was mapped (SQLSTATE ${sqlState})`,
    );
  }
  return sqlState === undefined ? error : withoutValues(error);
}

/** A fault of the infrastructure, while some statement ran. */
export function toUnavailable(error: unknown, place: string, side = warehouse): PipelineError {
  const sqlState = sqlStateOf(error);
  return new PipelineError(side.kind, explain(error as PostgresFault, place, side), {
    cause: withoutValues(error),
    ...(sqlState !== undefined && needsPerson.test(sqlState) && { details: { refused: sqlState } }),
  });
}

/**
 * A fault of connecting: whatever it is, no statement can be blamed, the server cannot be
 * reached. `details.refused` where waiting does not mend it.
 */
export function toConnectError(error: unknown, place: string, side = warehouse): PipelineError {
  if (error instanceof PipelineError) return error;
  const refused = refusalOf(error);
  const message =
    refused === undefined
      ? explain(error as PostgresFault, place, side)
      : explainRefusal(error as PostgresFault, place, side);
  return new PipelineError(side.kind, message, {
    cause: withoutValues(error),
    ...(refused !== undefined && { details: { refused } }),
  });
}

/** What only a person can mend: user, password, database, rights, TLS, settings in the url. */
function refusalOf(error: unknown): string | undefined {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) {
    return needsPerson.test(sqlState) || !isInfrastructure(error) ? sqlState : undefined;
  }
  const { code = '', message } = error as PostgresFault;
  if (login.test(message)) return 'password';
  return tls.test(`${code} ${message}`) ? 'tls' : undefined;
}

const login = /^SASL|password must be|authentication/i;
const tls =
  /SSL|TLS|CERT|EPROTO|UNABLE_TO_(GET|DECRYPT|DECODE|VERIFY)|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED/i;

function explainRefusal(fault: PostgresFault, place: string, side: Side): string {
  const { name, block } = side;
  const { code, message } = fault;
  const sqlState = sqlStateOf(fault);
  if (sqlState !== undefined && needsPerson.test(sqlState)) return explain(fault, place, side);
  if (sqlState === '42501') {
    return `${name} ${place} lets this user not connect: GRANT CONNECT ON DATABASE to it`;
  }
  if (sqlState !== undefined) {
    return `${name} ${place} refuses the connection (SQLSTATE ${sqlState}): correct the url of ${block}`;
  }
  if (login.test(message)) {
    return `${name} ${place} cannot be logged in to (${message}): correct user and password in the url of ${block}`;
  }
  return `no TLS connection to ${name} ${place} (${code ?? message}): correct sslmode and certificates in the url of ${block}, or TLS at the server`;
}

export function rejected(message: string): PipelineError {
  return new PipelineError('schema-rejected', message);
}

function explain({ code, message }: PostgresFault, place: string, { name, block }: Side): string {
  switch (code) {
    case '28P01':
    case '28000':
      return `${name} ${place} refuses user or password: correct the url of ${block}`;
    case '3D000':
      return `${name} ${place} does not exist: create the database, or correct the url`;
    case '53100':
      return `the disk of ${name} ${place} is full: free some space`;
    case '53300':
      return `${name} ${place} has no connection left: end some, or raise max_connections`;
    case '25006':
      return `${name} ${place} is read-only now`;
    default:
      return `cannot work with ${name} ${place} now (${code ?? message})`;
  }
}

/** Kept as the cause for its stack; everything else may hold values. */
export function withoutValues(error: unknown): Error {
  const { code } = error as PostgresFault;
  const cause = new Error(`PostgreSQL ${code ?? 'connection'}`);
  const { stack } = error as Error;
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  cause.stack = [`Error: ${cause.message}`, ...frames].join('\n');
  return cause;
}

type Refusal = Extract<CopyResult, { ok: false }>;

/** What COPY says of the row it refuses: which one (from `firstRow` on), which column, why. */
export function toRefusal(error: unknown, firstRow: number): Refusal {
  const sqlState = sqlStateOf(error) ?? 'XX000';
  const { where = '', column, constraint } = error as PostgresFault;
  const line = /^COPY [^\n]*?, line (\d+)/.exec(where)?.[1];
  const named = column ?? /^COPY [^\n]*?, line \d+, column ([^:\n]+)/.exec(where)?.[1];
  return {
    ok: false,
    sqlState,
    message: describe(sqlState, named, constraint),
    ...(line !== undefined && { row: firstRow + Number(line) - 1 }),
    ...(named !== undefined && { column: named }),
  };
}

const reasons: Readonly<Record<string, string>> = {
  '22001': 'the value is too long for its column',
  '22003': 'the number is out of the range of its column',
  '22007': 'the date or time has a form that the column does not take',
  '22008': 'the date or time does not exist',
  '22P02': 'the value has a form that the column does not take',
  '23502': 'the column does not take null',
  '23503': 'the row refers to another one that is not there',
  '23505': 'another row has the same key',
  '23514': 'the row breaks a check of the table',
  '22P05': 'the text holds a character that PostgreSQL cannot store',
  '22021': 'the text holds a character that PostgreSQL cannot store',
};

function describe(sqlState: string, column?: string, constraint?: string): string {
  const reason = reasons[sqlState] ?? 'PostgreSQL refuses the row';
  const where = column === undefined ? '' : `column ${column}: `;
  const which = constraint === undefined ? '' : `, constraint ${constraint}`;
  return `${where}${reason} (SQLSTATE ${sqlState}${which})`;
}
