/** What stands in the databases at the end. */
export interface Evidence {
  readonly batches: readonly BatchRow[];
  readonly deliveries: readonly DeliveryRow[];
  /** Where each lane's plan ends. */
  readonly lanes: readonly { source: string; lane: string; head: string }[];
  /** Chunks of the intake that no batch holds yet, by source. */
  readonly unplanned: Readonly<Record<string, number>>;
  readonly failed: readonly FailedRow[];
  readonly destinations: Readonly<Record<string, DestinationEvidence>>;
}

/** In the order of their plan. */
export interface BatchRow {
  readonly batchId: string;
  readonly run: string;
  readonly source: string;
  readonly lane: string;
  readonly from: string;
  readonly to: string;
  readonly state: string;
  readonly events: number | null;
}

/** One batch on its way into one destination. */
export interface DeliveryRow {
  readonly batchId: string;
  readonly destination: string;
  readonly state: string;
}

export interface FailedRow {
  readonly destination: string;
  readonly source: string;
  readonly stream: string;
  readonly state: string;
  readonly kind: string;
  /** As the record says, and of the bytes that it holds. */
  readonly declaredSha256: string;
  readonly sha256: string;
  /** `contentOf` its bytes, where they are one JSON object. */
  readonly content: string | null;
}

export interface DestinationEvidence {
  readonly ledger: readonly LedgerRow[];
  readonly tables: readonly TableEvidence[];
}

export interface LedgerRow {
  readonly batchId: string;
  readonly source: string;
  readonly loaded: number;
  readonly duplicate: number;
  readonly superseded: number;
  readonly failed: number;
  readonly discarded: number;
  /** Rows by table, as the ledger says. */
  readonly tables: Readonly<Record<string, number>>;
}

export interface TableEvidence {
  readonly source: string;
  readonly stream: string;
  readonly table: string;
  readonly write: 'append' | 'merge';
  readonly rows: readonly LoadedRow[];
}

export interface LoadedRow {
  readonly key: string;
  readonly eventId: string;
  readonly batchId: string;
  readonly content: string;
  readonly version?: string;
}
