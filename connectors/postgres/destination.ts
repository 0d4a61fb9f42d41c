import type {
  AppliedChange,
  ChangeOrder,
  Destination,
  LedgerRow,
  LedgerSurvey,
  LoadRequest,
  LoadTransaction,
  TableColumn,
} from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';
import type { Mapping, TableName } from '../../core/mapping.ts';
import { PostgresConnections } from './connection.ts';
import { forgetIds } from './event-ids.ts';
import { checkRoles, noGrants, type Grants } from './grants.ts';
import { ensureDatabase } from './ensure-database.ts';
import { prepareLedger, selectLedger } from './ledger.ts';
import type { LedgerKey } from './ledger-key.ts';
import { adoptLedger, pageLedger, surveyLedger } from './ledger-survey.ts';
import { PostgresLoad } from './load-transaction.ts';
import { applyMapping, committedChanges, describeTable, previewMapping } from './schema.ts';
import { forgetFailed } from './take-back.ts';

const maxConnections = 12;

export interface PostgresDestinationOptions {
  readonly url: string;
  readonly name: string;
  readonly installation: string;
  /** In the embedded server: `prepare` makes the database where it is missing. */
  readonly embedded: boolean;
  /** To tables that are made from now on; default: none. */
  readonly grants?: Grants | undefined;
}

/** A PostgreSQL database (15 or newer) as a warehouse. */
export class PostgresDestination implements Destination {
  readonly capabilities = { writeModes: ['append', 'merge', 'replace'] } as const;
  readonly #connections: PostgresConnections;
  readonly #ledger: LedgerKey;
  readonly #embeddedUrl: string | null;
  readonly #grants: Grants;

  constructor({ url, name, installation, embedded, grants }: PostgresDestinationOptions) {
    this.#grants = grants ?? noGrants;
    this.#embeddedUrl = embedded ? url : null;
    this.#connections = new PostgresConnections(url, maxConnections);
    this.#ledger = { installation, destination: name };
  }

  async check(signal: AbortSignal): Promise<void> {
    const [row] = await this.#connections.query<{ may: boolean; readonly: boolean }>(
      `SELECT has_database_privilege(current_database(), 'CREATE') AS may,
              pg_is_in_recovery() AS readonly`,
      [],
      signal,
    );
    const { place } = this.#connections;
    if (row?.readonly) {
      throw new PipelineError('destination-unavailable', `the warehouse ${place} is read-only now`);
    }
    if (row?.may) return;
    throw new PipelineError(
      'invalid-config',
      `the role may not create schemas at ${place}: GRANT CREATE ON DATABASE to it`,
    );
  }

  async checkNewTables(signal: AbortSignal): Promise<void> {
    await checkRoles((sql, values) => this.#connections.query(sql, values, signal), this.#grants);
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#embeddedUrl !== null) await ensureDatabase(this.#embeddedUrl, signal);
    await this.#connections.run(signal, prepareLedger);
  }

  async describeTable(
    table: TableName,
    signal: AbortSignal,
  ): Promise<readonly TableColumn[] | null> {
    return this.#connections.run(signal, (client) => describeTable(client, table));
  }

  async applyMapping(
    mapping: Mapping,
    signal: AbortSignal,
    order?: ChangeOrder,
  ): Promise<readonly AppliedChange[]> {
    const how = { ledger: this.#ledger, grants: this.#grants, order };
    return this.#connections.run(signal, (client) => applyMapping(client, mapping, how));
  }

  async committedChanges(
    table: TableName,
    changeIds: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const asked = { table, changeIds };
    return this.#connections.run(signal, (client) => committedChanges(client, this.#ledger, asked));
  }

  async previewMapping(mapping: Mapping, signal: AbortSignal): Promise<readonly string[]> {
    return this.#connections.run(signal, (client) => previewMapping(client, mapping, this.#grants));
  }

  async forgetIds(olderThanMs: number, signal: AbortSignal): Promise<number> {
    return this.#connections.run(signal, (client) => forgetIds(client, olderThanMs));
  }

  async forgetFailed(batchId: string, signal: AbortSignal): Promise<void> {
    await this.#connections.run(signal, async (client) => {
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
      await forgetFailed(client, this.#ledger, batchId);
      await client.query('COMMIT');
    });
  }

  async readLedger(
    batchIds: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly LedgerRow[]> {
    return this.#connections.run(signal, (client) => selectLedger(client, this.#ledger, batchIds));
  }

  async surveyLedger(
    of: { readonly source: string; readonly lane?: string },
    signal: AbortSignal,
  ): Promise<LedgerSurvey> {
    return this.#connections.run(signal, (client) => surveyLedger(client, this.#ledger, of));
  }

  async pageLedger(
    page: { readonly source: string; readonly after: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly LedgerRow[]> {
    return this.#connections.run(signal, (client) => pageLedger(client, this.#ledger, page));
  }

  async adoptLedger(
    of: { readonly sources: readonly string[]; readonly dryRun: boolean },
    signal: AbortSignal,
  ): Promise<number> {
    return this.#connections.run(signal, (client) => adoptLedger(client, this.#ledger, of));
  }

  async beginLoad(request: LoadRequest): Promise<LoadTransaction> {
    const leased = await this.#connections.connect(request.signal);
    const { place } = this.#connections;
    return PostgresLoad.begin({ ...leased, ledger: this.#ledger, request, place });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }
}
