import type { Destination, LedgerSurvey } from '../core/destination.ts';
import { PipelineError } from '../core/errors.ts';
import {
  areStillSettled,
  pageSettled,
  unknownBatches,
  type SettledDelivery,
} from '../store/catalog/backup-checks.ts';
import { readDestinationState } from '../store/catalog/destinations.ts';
import { holdSourceIf, readHold, type SourceHold } from '../store/catalog/source-holds.ts';
import type { ActivityDependencies, ConfiguredSource, OpenDestination } from './dependencies.ts';

type Dependencies = Pick<
  ActivityDependencies,
  'catalog' | 'configuration' | 'destinations' | 'settings' | 'signal'
>;

const kind = 'backup-mismatch';
/** A destination that hangs must not keep the others from being planned for. */
const answerWithinMs = 5_000;
const pageRows = 500;
/** Settled deliveries that are looked up every minute; all of them after a ledger was made anew. */
const newestRows = 100;

/**
 * Finds out that the catalog or a warehouse was restored from a backup older than the other, and
 * holds the sources concerned. Why it cannot be fooled: docs/decisions/0005-restored-backups.md.
 */
export class BackupCheck {
  readonly #dependencies: Dependencies;
  /** Ledgers all of whose settled deliveries were looked up by this worker, by destination. */
  readonly #verified = new Map<string, { incarnation: string; done: Promise<void> }>();

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Compares a source with the ledgers that can be reached. Null: nothing may keep it from a plan. */
  async beforePlanning({ name, pipeline }: ConfiguredSource): Promise<SourceHold | null> {
    const { catalog, destinations } = this.#dependencies;
    for (const destination of pipeline?.destinations ?? []) {
      if ((await readDestinationState(catalog, destination)).state !== 'ok') continue;
      const open = await this.#unlessAway(() => destinations.open(destination));
      if (open) await this.#compare(destination, open, [name]);
    }
    return readHold(catalog, name);
  }

  /**
   * The same for one lane: its plan may be of a time at which this destination was away.
   * @throws PipelineError `backup-mismatch`
   */
  async beforeLoading(
    at: { readonly source: string; readonly lane: string; readonly destination: string },
    { destination }: OpenDestination,
  ): Promise<void> {
    const { catalog, signal } = this.#dependencies;
    const { source, lane } = at;
    await this.#holdUnknown(at, await destination.surveyLedger({ source, lane }, signal()));
    const hold = await readHold(catalog, source);
    if (hold) throw new PipelineError(kind, hold.message);
  }

  /** All sources of a destination, and the newest of what it should have. */
  async ofDestination(destination: string, open: OpenDestination): Promise<void> {
    const { pipelines } = await this.#dependencies.configuration.current();
    const sources = Object.values(pipelines)
      .filter(({ destinations }) => destinations.includes(destination))
      .map(({ source }) => source);
    await this.#compare(destination, open, sources);
    const newest = await this.#pageSettled(destination, newestRows);
    await this.#unlessAway(() => this.#holdMissing(destination, open.destination, newest));
  }

  /** For sources to which nothing comes now: their intake has to hear of it too. */
  async everywhere(): Promise<void> {
    const { catalog, configuration, destinations } = this.#dependencies;
    const { pipelines } = await configuration.current();
    const used = new Set(Object.values(pipelines).flatMap((pipeline) => pipeline.destinations));
    for (const destination of used) {
      if ((await readDestinationState(catalog, destination)).state !== 'ok') continue;
      const open = await this.#unlessAway(() => destinations.open(destination));
      if (open) await this.ofDestination(destination, open);
    }
  }

  async #compare(name: string, { destination }: OpenDestination, sources: readonly string[]) {
    for (const source of sources) {
      const survey = await this.#unlessAway((signal) =>
        destination.surveyLedger({ source }, signal),
      );
      if (!survey) return;
      await this.#holdUnknown({ source, destination: name }, survey);
      await this.#verifyOnce(name, destination, survey.incarnation);
    }
  }

  /** The ledger was read first: whatever it has was planned before. */
  async #holdUnknown(
    { source, destination }: { readonly source: string; readonly destination: string },
    { furthest }: LedgerSurvey,
  ): Promise<void> {
    const { catalog } = this.#dependencies;
    const batchIds = furthest.map(({ batchId }) => batchId);
    const unknown = await unknownBatches(catalog, { destination, batchIds });
    if (unknown.size === 0) return;
    const lanes = furthest.filter(({ batchId }) => unknown.has(batchId)).map(({ lane }) => lane);
    const more = lanes.length > 1 ? ` and ${lanes.length - 1} more` : '';
    const message = `${destination} holds rows of ${source} that the catalog does not know (lane ${lanes[0]}${more}): the catalog was restored from an older backup`;
    await holdSourceIf(catalog, { source, kind, message }, async (tx) => {
      const still = await unknownBatches(tx, { destination, batchIds: [...unknown] });
      return still.size > 0;
    });
  }

  /** Once for each worker and each time the ledger was made anew; those who come meanwhile wait. */
  async #verifyOnce(name: string, destination: Destination, incarnation: string): Promise<void> {
    const known = this.#verified.get(name);
    if (known?.incarnation === incarnation) return known.done;
    const done = this.#verify(name, destination);
    this.#verified.set(name, { incarnation, done });
    done.catch(() => this.#verified.delete(name));
    return done;
  }

  async #verify(name: string, destination: Destination): Promise<void> {
    let before: SettledDelivery | undefined;
    do {
      const page = await this.#pageSettled(name, pageRows, before);
      const looked = await this.#unlessAway(() => this.#holdMissing(name, destination, page));
      if (looked === null) return void this.#verified.delete(name);
      before = page.length < pageRows ? undefined : page.at(-1);
    } while (before);
  }

  #pageSettled(destination: string, limit: number, before?: SettledDelivery) {
    const { catalog, settings } = this.#dependencies;
    const since = new Date(Date.now() - settings.keepExtractsMs);
    return pageSettled(catalog, { destination, since, before, limit });
  }

  /** The catalog was read first: what is settled there was committed here before. */
  async #holdMissing(
    name: string,
    destination: Destination,
    settled: readonly SettledDelivery[],
  ): Promise<true> {
    const { catalog, signal } = this.#dependencies;
    const ids = settled.map(({ batchId }) => batchId);
    const rows = ids.length === 0 ? [] : await destination.readLedger(ids, signal());
    const present = new Set(rows.map(({ batchId }) => batchId));
    const missing = settled.filter(({ batchId }) => !present.has(batchId));
    for (const source of new Set(missing.map((delivery) => delivery.source))) {
      const message = `${name} lacks rows of ${source} that the catalog counts as loaded: the warehouse was restored from an older backup, or is another database`;
      const own = missing.filter((delivery) => delivery.source === source);
      const hold = { source, kind, message } as const;
      await holdSourceIf(catalog, hold, (tx) =>
        areStillSettled(tx, { destination: name, settled: own }),
      );
    }
    return true;
  }

  /** Null: it cannot be asked now. Loads say why, and ask again before they bring anything. */
  async #unlessAway<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    const cancelled = this.#dependencies.signal();
    try {
      return await ask(AbortSignal.any([cancelled, AbortSignal.timeout(answerWithinMs)]));
    } catch (error) {
      if (cancelled.aborted || !(error instanceof PipelineError || isTimeout(error))) throw error;
      if (error instanceof PipelineError && error.kind === 'catalog-unavailable') throw error;
      return null;
    }
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
