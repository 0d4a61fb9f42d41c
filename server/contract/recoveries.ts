import { z } from 'zod';

/** POST /v1/recoveries */
export const recoveryBody = z.strictObject({
  /** Absent: all. */
  source: z.string().optional(),
  /** Compare with this destination only: another one is away. */
  destination: z.string().optional(),
  /** Take over what other installations loaded into the tables of our sources. */
  adopt: z.boolean().default(false),
  /** Say what would be done, do nothing. */
  dryRun: z.boolean().default(false),
});

export interface RecoveryAnswer {
  readonly dryRun: boolean;
  readonly sources: readonly RecoveredSource[];
  /** Why Temporal was not asked to go on; `maintain` does it then. */
  readonly delayed: string | null;
}

export interface RecoveryCounts {
  /** Rows of ledgers that belonged to another installation. */
  readonly takenOver: number;
  /** Batches that ledgers have and the catalog did not know. */
  readonly adopted: number;
  /** Of these, deliveries whose failed events are read and kept again. */
  readonly rebuilding: number;
  /** Lanes that go on from another position. */
  readonly lanes: number;
  /** Plans of the restored catalog that were loaded otherwise. */
  readonly withdrawn: number;
  /** Ranges between adopted batches that are in no ledger: they are read again. */
  readonly readAgain: number;
  /** Deliveries that are loaded and that the catalog did not know to be: they are closed. */
  readonly settled: number;
  /** Chunks of the intake that got numbers no ledger has. */
  readonly renumberedChunks: number;
  /** Deliveries whose rows are missing in their destination: they load again. */
  readonly reopened: number;
  /** Failed events that a lost restream had brought in: they wait for review again. */
  readonly reopenedEvents: number;
  /** Failed events that can be read nowhere any more. */
  readonly lostFailedEvents: number;
}

export interface RecoveredSource extends RecoveryCounts {
  readonly source: string;
  /** It stood still because of this, and goes on now. */
  readonly wasHeld: boolean;
  /** Lanes that the ledgers have and the source does not: was a file renamed or removed since? */
  readonly unseenLanes: readonly string[];
  /** Lanes of which different ranges are loaded; the source stays held. */
  readonly conflicts: readonly string[];
}
