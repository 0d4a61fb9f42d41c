import { PipelineError } from '../../core/errors.ts';

/** SQLSTATE classes that are the fault of the infrastructure, not of the statement. */
const infrastructure = new Set(['08', '25', '28', '3D', '40', '53', '55', '57', '58', 'XX']);
/** Not `EPIPE` and the like, which are codes of sockets. */
const sqlStateForm = /^[0-9FHPX][0-9A-Z]{4}$/;
const network =
  /ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|Connection terminated|timeout expired|timeout exceeded|Query read timeout|Client has encountered a connection error|not queryable|\bSASL:|SSL|TLS|CERT|EPROTO|ENOENT|EACCES/;

/** A statement that the catalog refused: a defect of ours. Without what PostgreSQL says of values. */
class RefusedStatement extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    // Class 42 (unknown names, types that do not fit) speaks of the statement, never of values.
    super(
      `the catalog refuses a statement (SQLSTATE ${code})${code.startsWith('42') ? `: ${message}` : ''}`,
    );
    this.name = 'RefusedStatement';
    this.code = code;
  }
}

/**
 * A fault of the connection to the catalog as a PipelineError that says what to do; a refused
 * statement with its SQLSTATE as `code`; what is not of Postgres as it is. Never quotes what Postgres
 * says of values.
 */
export function toCatalogError(error: unknown): unknown {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (!sqlStateForm.test(code)) {
    if (!network.test(`${code} ${message}`)) return error;
    return unavailable(`cannot reach the catalog database: ${code || message}`, error);
  }
  if (!infrastructure.has(code.slice(0, 2))) return new RefusedStatement(code, message);
  return unavailable(explain(code), error);
}

function explain(sqlState: string): string {
  if (sqlState === '28P01') {
    return 'the catalog refuses the password: correct the user and password in DATABASE_URL';
  }
  if (sqlState === '3D000')
    return 'the catalog database does not exist: create it, or correct DATABASE_URL';
  if (sqlState === '53100') return 'the disk of the catalog database is full: free some space';
  return `the catalog database cannot work now (SQLSTATE ${sqlState})`;
}

function unavailable(message: string, cause: unknown): PipelineError {
  return new PipelineError('catalog-unavailable', message, { cause });
}
