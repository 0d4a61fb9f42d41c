/**
 * Named places where a test may kill, stop, delay or fail the process (DESIGN G1-G14,
 * `docs/reference/failpoints.md`), in the order of an event's life. Without an armed handler, which
 * only `store/failpoints/` installs and only when `MILLRACE_ALLOW_FAULTS=1`, a failpoint is an
 * empty function.
 */
export const failpoints = {
  'body-read': 'the body of a request is read, nothing of it is stored',
  'chunk-committed': 'events are in the intake, their sender has no answer',
  'source-acknowledged': 'the sender has its answer, no sync was asked for',
  'batch-chosen': 'ranges are cut, their plan is not stored',
  'plan-committed': 'the plan is durable, its workflow not started',
  'extract-read': 'the first block was read from the source',
  'extract-staged': 'the extract is staged, its manifest not yet stored',
  'manifest-stored': 'the manifest is stored, the answer is not given',
  'mapping-planned': 'a mapping is computed, its version not yet saved',
  'table-changed': 'a table has its new columns, the change is not committed',
  'ddl-committed': 'a table has its new columns, the audit does not know yet',
  'map-computed': 'load files are staged, the answer is not given',
  'failures-recorded': 'what failed to map is recorded, the answer is not given',
  'fence-taken': 'the load transaction holds the fence',
  'ledger-inserted': 'the ledger row is inserted, no row is',
  'copy-begun': 'the first byte of a table is sent',
  'copy-middle': 'about half of the first rows of a table are sent',
  'copy-ended': 'all rows of a table are sent, the end of COPY is not',
  'before-commit': 'all rows and the ledger row are in, COMMIT is not sent',
  'commit-sent': 'COMMIT is sent, its answer was not read',
  'commit-unread': 'COMMIT is done, its answer was not used',
  'before-settle': 'the warehouse has the batch, the catalog does not know yet',
  'restream-loaded': 'the warehouse has a restream, its events are still claimed',
  'settle-middle': 'failed events are open, the catalog has not committed it',
  settled: 'the delivery is settled, the answer is not given',
  'restream-claimed': 'failed events are claimed by a restream, the answer is not given',
  'sweep-middle': 'staged files of an extract are gone, the catalog does not know yet',
} as const;

export type Failpoint = keyof typeof failpoints;

/** Answers where there is something to wait for. */
type FailpointHandler = (name: Failpoint) => Promise<void> | undefined;

let handler: FailpointHandler | undefined;

export function armFailpoints(next: FailpointHandler): void {
  handler = next;
}

/** To be awaited: a test may delay the caller, or make it fail. */
export function failpoint(name: Failpoint): Promise<void> | undefined {
  return handler?.(name);
}
