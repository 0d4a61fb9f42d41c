import { PipelineError } from '../../core/errors.ts';
import { sourceModule } from '../../connectors/registry.ts';
import { recordDecision } from '../../store/catalog/decisions.ts';
import { listLanes } from '../../store/catalog/lanes.ts';
import { lockPlanning } from '../../store/catalog/pauses.ts';
import { closeAsLoaded, resumeAgreed } from '../../store/catalog/recoveries.ts';
import { reopenDeliveries } from '../../store/catalog/reopen-deliveries.ts';
import { holdSource, readHold, releaseSource } from '../../store/catalog/source-holds.ts';
import { wantSync } from '../../store/catalog/wanted-syncs.ts';
import type { Transaction } from '../../store/catalog/catalog.ts';
import type { RecoveredSource, RecoveryAnswer, RecoveryCounts } from '../contract/recoveries.ts';
import { readApplied, requireBlock, type ServerContext } from '../context.ts';
import { openDestination, openSource } from '../open-connectors.ts';
import { askForSyncs } from '../request-syncs.ts';
import { compareLedger, type LedgerFinding, type OpenLedger } from './compare-ledgers.ts';
import { forgetLost } from './forget-lost.ts';
import { adoptOthers, mendOne, sortUnknown, type MendContext } from './mend-source.ts';

export interface RecoveryOrder {
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly adopt: boolean;
  readonly dryRun: boolean;
  readonly author: string;
}

const timeoutMs = 60_000;

/**
 * Brings the catalog in step with the ledgers after a backup was restored: one transaction for each
 * source. Repeating finds nothing left to do; killed in the middle, the source stays held.
 * @throws PipelineError `not-found`; what cannot be reached, before anything is changed of its source
 */
export async function recover(
  server: ServerContext,
  order: RecoveryOrder,
): Promise<RecoveryAnswer> {
  const applied = await readApplied(server);
  if (!applied)
    throw new PipelineError('not-found', 'no configuration is applied: run apply first');
  const { configuration } = applied;
  if (order.source !== undefined) requireBlock('source', configuration.sources, order.source);
  if (order.destination !== undefined) {
    requireBlock('destination', configuration.destinations, order.destination);
  }
  const sources: RecoveredSource[] = [];
  for (const { source, destinations } of Object.values(configuration.pipelines)) {
    if (order.source !== undefined && order.source !== source) continue;
    const chosen = destinations.filter((name) => (order.destination ?? name) === name);
    if (chosen.length === 0) continue;
    sources.push(await new SourceRecovery(server, order, { source, destinations }).run(chosen));
  }
  const names = sources.map(({ source }) => source);
  const delayed = order.dryRun ? null : await askForSyncs(server, names);
  return { dryRun: order.dryRun, sources, delayed };
}

const nothing: RecoveryCounts = {
  takenOver: 0,
  adopted: 0,
  rebuilding: 0,
  lanes: 0,
  withdrawn: 0,
  readAgain: 0,
  settled: 0,
  renumberedChunks: 0,
  reopened: 0,
  reopenedEvents: 0,
  lostFailedEvents: 0,
};

/** Ends the transaction of a dry run, with what it would have done. */
class DryRun extends Error {
  readonly result: Mended;

  constructor(result: Mended) {
    super('dry run');
    this.result = result;
  }
}

interface Mended {
  readonly counts: RecoveryCounts;
  readonly unseenLanes: readonly string[];
  readonly conflicts: readonly string[];
}

class SourceRecovery {
  readonly #server: ServerContext;
  readonly #order: RecoveryOrder;
  readonly #source: string;
  readonly #destinations: readonly string[];

  constructor(
    server: ServerContext,
    order: RecoveryOrder,
    { source, destinations }: { source: string; destinations: readonly string[] },
  ) {
    this.#server = server;
    this.#order = order;
    this.#source = source;
    this.#destinations = destinations;
  }

  async run(compared: readonly string[]): Promise<RecoveredSource> {
    const { catalog } = this.#server;
    await using opened = new AsyncDisposableStack();
    const ledgers: OpenLedger[] = [];
    for (const name of compared) ledgers.push(await this.#openLedger(name, opened));
    const takenOver = await this.#takeOver(ledgers);
    const wasHeld = (await readHold(catalog, this.#source)) !== null;
    const findings = await this.#compare(ledgers);
    const isFine = findings.every(
      ({ unknown, missing, unfinished }) =>
        unknown.length + missing.length + unfinished.length === 0,
    );
    if (!isFine && !this.#order.dryRun) await this.#hold();
    // While all goes its way, what is loaded and not yet settled is about to be.
    const goesOn = isFine && !wasHeld;
    const mended = await this.#mend(
      ledgers,
      goesOn ? findings.map((finding) => ({ ...finding, loaded: [] })) : findings,
    );
    const { counts, ...rest } = mended;
    return { source: this.#source, wasHeld, ...counts, takenOver, ...rest };
  }

  async #openLedger(name: string, opened: AsyncDisposableStack): Promise<OpenLedger> {
    const applied = await readApplied(this.#server);
    const block = requireBlock('destination', applied?.configuration.destinations ?? {}, name);
    const { destination } = opened.use(await openDestination(this.#server, name, block));
    const signal = AbortSignal.timeout(timeoutMs);
    await destination.check(signal);
    await destination.prepare(signal);
    return { name, destination };
  }

  async #takeOver(ledgers: readonly OpenLedger[]): Promise<number> {
    if (!this.#order.adopt) return 0;
    const { dryRun, author } = this.#order;
    let count = 0;
    for (const { destination } of ledgers) {
      const of = { sources: [this.#source], dryRun };
      count += await destination.adoptLedger(of, AbortSignal.timeout(timeoutMs));
    }
    if (count > 0 && !dryRun) {
      const decision = { author, action: 'adopt', subject: this.#source, details: { rows: count } };
      await recordDecision(this.#server.catalog, decision);
    }
    return count;
  }

  async #compare(ledgers: readonly OpenLedger[]): Promise<readonly LedgerFinding[]> {
    const { catalog, environment } = this.#server;
    const { hasIntake } = await this.#readSource();
    const since = new Date(Date.now() - environment.keepExtractsMs);
    const findings = [];
    for (const ledger of ledgers) {
      findings.push(
        await compareLedger(catalog, ledger, { source: this.#source, since, hasIntake }),
      );
    }
    return findings;
  }

  async #readSource() {
    const applied = await readApplied(this.#server);
    const block = requireBlock('source', applied?.configuration.sources ?? {}, this.#source);
    const hasIntake = (await sourceModule(block.type)).intakeRules !== undefined;
    return { block, configDir: applied?.configDir ?? '', hasIntake };
  }

  async #hold(): Promise<void> {
    await holdSource(this.#server.catalog, {
      source: this.#source,
      kind: 'backup-mismatch',
      message: `catalog and ledger of ${this.#source} are being brought in step: run recover again if nobody does`,
    });
  }

  async #mend(ledgers: readonly OpenLedger[], findings: readonly LedgerFinding[]): Promise<Mended> {
    const { catalog } = this.#server;
    const { block, configDir, hasIntake } = await this.#readSource();
    await using source = await openSource(this.#server, this.#source, block, configDir);
    const { lanes, others } = sortUnknown(this.#source, findings);
    const observed = lanes.length === 0 ? new Map() : await this.#observe(source);
    const about = { name: this.#source, source, observed, ledgers, findings };
    const destinations = this.#destinations;
    try {
      return await catalog.transaction(async (tx) => {
        const context = { tx, ...about, destinations, hasIntake };
        const mended = await this.#inTransaction(context, { lanes, others });
        if (this.#order.dryRun) throw new DryRun(mended);
        return mended;
      });
    } catch (error) {
      if (error instanceof DryRun) return error.result;
      throw error;
    }
  }

  async #observe(source: MendContext['source']): Promise<MendContext['observed']> {
    const known = await listLanes(this.#server.catalog, this.#source);
    const observed = await source.lanes(
      known.map(({ lane: name, head, memo }) => ({ name, head, memo })),
      AbortSignal.timeout(timeoutMs),
    );
    return new Map(observed.map((lane) => [lane.name, lane]));
  }

  async #inTransaction(
    context: MendContext,
    { lanes, others }: ReturnType<typeof sortUnknown>,
  ): Promise<Mended> {
    const { tx, observed, findings } = context;
    await lockPlanning(tx, this.#source);
    const counts = { ...nothing };
    const conflicts: string[] = [];
    for (const lane of lanes) {
      const mended = await mendOne(context, lane);
      if (mended === null) conflicts.push(lane.lane);
      else {
        counts.lanes += 1;
        counts.adopted += mended.adopted;
        counts.rebuilding += mended.rebuilding;
        counts.withdrawn += mended.withdrawn;
        counts.readAgain += mended.readAgain;
        counts.renumberedChunks += mended.renumberedChunks;
      }
    }
    counts.adopted += await adoptOthers(context, others);
    for (const { destination, missing } of findings) {
      const reopened = await reopenDeliveries(tx, { destination, batchIds: missing });
      counts.reopened += reopened.deliveries;
      counts.reopenedEvents += reopened.failedEvents;
    }
    const closed = await this.#closeAsLoaded(tx, findings);
    counts.settled += closed.deliveries;
    counts.lostFailedEvents += closed.lostEvents;
    if (!this.#order.dryRun) await forgetLost(context);
    await this.#conclude(tx, { counts, conflicts });
    const unseen = lanes.map(({ lane }) => lane).filter((lane) => !observed.has(lane));
    return { counts, conflicts, unseenLanes: unseen };
  }

  async #closeAsLoaded(tx: Transaction, findings: readonly LedgerFinding[]) {
    const closed = { deliveries: 0, lostEvents: 0 };
    for (const { destination, unfinished, loaded } of findings) {
      for (const row of [...unfinished, ...loaded]) {
        await closeAsLoaded(tx, { batchId: row.batchId, destination, row });
        closed.deliveries += 1;
        closed.lostEvents += row.rowsFailed;
        if (row.rowsFailed === 0) continue;
        const details = { destination, events: row.rowsFailed };
        const { author } = this.#order;
        const action = 'failed-events-lost';
        await recordDecision(tx, { author, action, subject: row.batchId, details });
      }
    }
    await resumeAgreed(tx, this.#source);
    return closed;
  }

  async #conclude(
    tx: Transaction,
    { counts, conflicts }: { counts: RecoveryCounts; conflicts: readonly string[] },
  ): Promise<void> {
    const wasHeld = conflicts.length === 0 && (await releaseSource(tx, this.#source));
    if (!wasHeld && Object.values(counts).every((count) => count === 0)) return;
    const { author } = this.#order;
    const details = { ...counts, conflicts: conflicts.length };
    await recordDecision(tx, { author, action: 'recover', subject: this.#source, details });
    await wantSync(tx, this.#source);
  }
}
