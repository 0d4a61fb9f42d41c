/** Whose rows of the ledger: several installations may share a warehouse. */
export interface LedgerKey {
  readonly installation: string;
  readonly destination: string;
}
