/**
 * Named places where a test may kill, stop or delay the process (DESIGN G1-G14, `docs/guarantees.md`).
 * Without an armed handler, which only `activities/failpoints.ts` installs and only when
 * `MILLRACE_ALLOW_FAULTS=1`, a failpoint is an empty function.
 */
export const failpoints = {
  'plan-committed': 'the plan is durable, its workflow not started',
  'extract-read': 'the first block was read from the source',
  'extract-staged': 'the extract is staged, its manifest not yet stored',
  'table-changed': 'a table has its new columns, the change is not committed',
  'ddl-committed': 'a table has its new columns, the audit does not know yet',
  'map-computed': 'load files are staged, the answer is not given',
  'fence-taken': 'the load transaction holds the fence',
  'ledger-inserted': 'the ledger row is inserted, no row is',
  'copy-middle': 'about half of the rows of a table are sent',
  'before-commit': 'all rows and the ledger row are in, COMMIT is not sent',
  'commit-unread': 'COMMIT is done, its answer was not used',
  'before-settle': 'the warehouse has the batch, the catalog does not know yet',
  'settle-middle': 'failed events are open, the catalog has not committed it',
  'restream-claimed': 'failed events are claimed by a restream, nothing is planned',
} as const;

export type Failpoint = keyof typeof failpoints;

type FailpointHandler = (name: Failpoint) => void;

let handler: FailpointHandler | undefined;

export function armFailpoints(next: FailpointHandler): void {
  handler = next;
}

export function failpoint(name: Failpoint): void {
  handler?.(name);
}
