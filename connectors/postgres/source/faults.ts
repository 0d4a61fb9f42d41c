import { PipelineError } from '../../../core/errors.ts';
import type { ConnectionWords } from '../connection.ts';
import {
  isInfrastructure,
  sqlStateOf,
  toUnavailable,
  withoutValues,
  type Side,
} from '../errors.ts';
import { isUnfit } from './whole-values.ts';

/** Our sessions at a source are known by it: they write nothing, so no bound waits for them. */
export const applicationName = 'millrace-source';

const side: Side = {
  kind: 'source-unavailable',
  name: 'the database',
  block: 'the source',
};

export const sourceWords: ConnectionWords = {
  applicationName,
  side,
  toError: (error, place) => {
    if (error instanceof PipelineError) return error;
    const sqlState = sqlStateOf(error);
    if (sqlState === '55P03') {
      return new PipelineError(
        'source-unavailable',
        `a table of the database ${place} is locked by another session: it waits`,
      );
    }
    if (sqlState === undefined || isInfrastructure(error)) {
      return isInfrastructure(error) ? toUnavailable(error, place, side) : error;
    }
    return new StatementRefused(sqlState, place, error);
  },
};

/** PostgreSQL refuses a statement: because of the table, its rights or a setting. */
export class StatementRefused extends PipelineError {
  readonly sqlState: string;

  constructor(sqlState: string, place: string, error: unknown) {
    const message = `the database ${place} refuses to read (SQLSTATE ${sqlState})`;
    super('source-unavailable', message, { cause: withoutValues(error) });
    this.sqlState = sqlState;
  }
}

export function wrong(lane: string, what: string): PipelineError {
  return new PipelineError('invalid-config', `table ${lane} ${what}`);
}

/** What is the matter with a table that cannot be read; it stops this lane and no other. */
export function toLaneFault(error: unknown, lane: string): unknown {
  if (!(error instanceof StatementRefused)) return error;
  return wrong(lane, explain(error.sqlState));
}

/** A range that cannot be read now: what it was cut from is not there, or not for us. */
export function toReadFault(error: unknown, lane: string): unknown {
  if (error instanceof StatementRefused && /^(42|3F)/.test(error.sqlState)) {
    return new PipelineError('extract-lost', `table ${lane} ${explain(error.sqlState)}`);
  }
  if (error instanceof PipelineError && error.kind === 'invalid-config') {
    return new PipelineError('extract-lost', error.message, { cause: error });
  }
  return error;
}

/** The same for rows that are copied as they are: what stands in the way of that can be staged. */
export function toCopyFault(error: unknown, lane: string): unknown {
  if (error instanceof StatementRefused && isUnfit(error.sqlState)) {
    return new PipelineError('needs-staging', `table ${lane} holds a value for review`);
  }
  return toReadFault(error, lane);
}

const reasons: Readonly<Record<string, string>> = {
  '42P01': 'is not there: bring it back, or take it out of tables',
  '3F000': 'is not there: its schema is gone',
  '42703': 'lacks a column that its settings name: correct key, cursor, columns or where',
  '42501':
    'cannot be read: GRANT SELECT on it (and USAGE on its schema); where row security hides rows from the user, give it BYPASSRLS',
};

function explain(sqlState: string): string {
  const other = `cannot be read (SQLSTATE ${sqlState}): correct its settings, above all where`;
  return reasons[sqlState] ?? other;
}
