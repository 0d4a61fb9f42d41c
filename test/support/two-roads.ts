import { join } from 'node:path';
import { openEncodedRows, readLoadFiles, readOrdinals } from '../../activities/load-files.ts';
import { runBlockTask } from '../../activities/threads/run-block-task.ts';
import { postgresDestination, postgresSource } from '../../connectors/postgres/index.ts';
import { PostgresSource } from '../../connectors/postgres/source.ts';
import type { Destination, LedgerRow, LoadRequest } from '../../core/destination.ts';
import { must } from '../../core/errors.ts';
import type { Mapping, WriteRule } from '../../core/mapping.ts';
import type { PositionRange } from '../../core/positions.ts';
import { defaultRecordLimits } from '../../core/records.ts';
import type { ObservedLane } from '../../core/source.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import { profileOf } from '../../pipeline/batches/choose-road.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import { loadTyped } from '../../pipeline/batches/load-typed.ts';
import { planMapping } from '../../pipeline/mapping/plan-mapping.ts';
import { createLocalStaging } from '../../store/staging/local.ts';
import { queryAt } from './postgres-server.ts';

const { signal } = new AbortController();
const installation = 'ours';

export interface RoadsOptions {
  readonly sourceUrl: string;
  /** Where the one road leads, and where the other. */
  readonly stagedUrl: string;
  readonly typedUrl: string;
  readonly directory: string;
  readonly table: string;
  readonly settings: Readonly<Record<string, unknown>> | null;
  readonly write: WriteRule;
}

/** One table of a Postgres source, loaded by either road into a warehouse of its own. */
export class TwoRoads implements AsyncDisposable {
  readonly source: PostgresSource;
  readonly staged: Destination;
  readonly typed: Destination;
  mapping: Mapping | undefined;
  readonly #options: RoadsOptions;
  #batches = 0;

  private constructor(options: RoadsOptions, destinations: readonly [Destination, Destination]) {
    const { sourceUrl: url, table, settings } = options;
    const tables = { [`public.${table}`]: settings };
    this.source = new PostgresSource('shop', postgresSource.settings.parse({ url, tables }));
    [this.staged, this.typed] = destinations;
    this.#options = options;
  }

  static async open(options: RoadsOptions): Promise<TwoRoads> {
    const open = (url: string) =>
      postgresDestination.open({ url }, { installation, name: 'warehouse' });
    const roads = new TwoRoads(options, [
      await open(options.stagedUrl),
      await open(options.typedUrl),
    ]);
    for (const one of [roads.staged, roads.typed]) await one.prepare(signal);
    return roads;
  }

  /** The mapping of the table as it is now, applied on both sides. */
  async map(): Promise<Mapping> {
    const { table, write } = this.#options;
    const imported = await this.source.importSchema(table, signal);
    const { mapping } = planMapping({
      source: 'shop',
      stream: table,
      destination: 'warehouse',
      current: this.mapping ?? null,
      profile: profileOf(imported),
      imported,
      naming: postgresDestination.naming,
      schemaName: 'shop',
      tableName: table,
      write,
    });
    for (const one of [this.staged, this.typed]) await one.applyMapping(mapping, signal);
    this.mapping = mapping;
    return mapping;
  }

  /** All of the table, rows without a cursor value first. */
  async ranges(): Promise<readonly PositionRange[]> {
    const [lane] = (await this.source.lanes([], signal)) as [ObservedLane];
    const limits = { maxBytes: 2 ** 40, maxRecords: 2 ** 40, maxRanges: 100 };
    const { ranges } = await this.source.plan(lane, lane.start, limits, signal);
    return ranges;
  }

  /** All of a table in which every row has a cursor value. */
  async range(): Promise<PositionRange> {
    return must((await this.ranges())[0], 'the only range');
  }

  async loadStaged(
    range: PositionRange,
    write: LoadRequest['write'] = 'append',
    into: Destination = this.staged,
  ) {
    const request = this.#request(range, { write, extractSha256: 'abc' });
    const { batchId } = request.claim;
    const mapping = must(this.mapping);
    const staging = createLocalStaging(this.#options.directory);
    const context = { signal, limits: defaultRecordLimits, lane: this.#lane() };
    const prefix = join('extracts', String((this.#batches += 1)));
    const target = { destination: 'warehouse', destinationType: 'postgres', mappings: [mapping] };
    const { targets } = await runBlockTask(
      {
        batchId,
        input: { kind: 'frames', file: { name: '', bytes: 0, sha256: '' } },
        stagingRoot: this.#options.directory,
        prefix,
        extract: false,
        targets: [{ ...target, eventIds: false }],
        limits: defaultRecordLimits,
      },
      { blocks: this.source.read(range, context), staging, signal, onProgress: () => undefined },
    );
    const files = await readLoadFiles(staging, must(targets[0]).loadManifest);
    const parts = [];
    for (const part of files.parts) {
      const rows = openEncodedRows(staging, part, { mapping, laterColumns: async () => [] });
      parts.push({ rows, ordinals: await readOrdinals(staging, part) });
    }
    const { to } = range;
    const generations = mapping.replace
      ? { lane: this.#lane().name, of: () => to, whole: true }
      : null;
    const row = await loadBatch(
      into,
      { request, parts, failuresBefore: [], eventIds: null, generations },
      {
        onRefused: async () => undefined,
        onResentFailures: async () => undefined,
        onProgress: () => undefined,
      },
    );
    return { row, failures: files.failures };
  }

  loadTyped(
    range: PositionRange,
    {
      write = 'append',
      into = this.typed,
    }: { write?: LoadRequest['write']; into?: Destination } = {},
  ): Promise<LedgerRow> {
    const request = this.#request(range, { write, extractSha256: '' });
    const mapping = must(this.mapping);
    const { batchId } = request.claim;
    const context = {
      format: 'postgres-text',
      mapping,
      batchId,
      lane: this.#lane(),
      signal,
    } as const;
    const read = () => this.source.copyRows(range, context);
    const rows = { mapping, format: 'postgres-text', laterColumns: async () => [], read } as const;
    return loadTyped(into, { request, rows }, { onProgress: () => undefined });
  }

  /** Both tables, row by row as text, without what says when they were loaded. */
  async rows(): Promise<{ readonly staged: readonly string[]; readonly typed: readonly string[] }> {
    const { stagedUrl, typedUrl, table } = this.#options;
    const { columns } = must(this.mapping);
    const names = ['_event_id', '_batch_id', ...(this.mapping?.merge ? ['_version'] : [])];
    const list = [...names, ...columns.map(({ column }) => column)].map(
      (name) => `"${name}"::text`,
    );
    const read = async (url: string) => {
      const sql = `SELECT ROW(${list.join(', ')})::text AS row FROM shop."${table}" ORDER BY 1`;
      return (await queryAt<{ row: string }>(url, sql)).map(({ row }) => row);
    };
    return { staged: await read(stagedUrl), typed: await read(typedUrl) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.source, this.staged, this.typed]) await one[Symbol.asyncDispose]();
  }

  #lane() {
    return { name: `public.${this.#options.table}`, memo: '' };
  }

  #request(
    { from, to }: PositionRange,
    { write, extractSha256 }: Pick<LoadRequest, 'write'> & { extractSha256: string },
  ): LoadRequest {
    const { table } = must(this.mapping);
    const batch = { run: 'live', source: 'shop', lane: this.#lane().name, from, to } as const;
    const alone = write !== 'append' || must(this.mapping).merge !== undefined;
    return {
      claim: {
        ...batch,
        batchId: batchIdOf(batch),
        extractSha256,
        mapAttempt: 'map',
        loadAttempt: 'load',
        mappingVersions: { [this.#options.table]: must(this.mapping).version },
      },
      tables: [{ ...table, alone }],
      write,
      fenceTimeoutMs: 60_000,
      signal,
    };
  }
}
