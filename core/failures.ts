/**
 * What can go wrong and what then happens. One line per kind; the key is the stable name that
 * users see in `failed_events.kind`, in logs and in API answers.
 *
 * - `review`: the event's own fault. It waits in the review queue; the rest of its batch loads.
 * - `retry`: the infrastructure's fault. Temporal repeats the step, for ever.
 * - `stop`: somebody has to decide. The lane or delivery waits under this name; others go on.
 * - `refuse`: the request or configuration is wrong; the caller is told and nothing changes.
 */
export type FailureAction = 'review' | 'retry' | 'stop' | 'refuse';

export interface FailurePolicy {
  readonly action: FailureAction;
  /** What a person can do about it, in one sentence. */
  readonly advice: string;
}

export const dataFailures = {
  'invalid-json': {
    action: 'review',
    advice: 'Correct the record at its producer, or discard it.',
  },
  'invalid-csv': { action: 'review', advice: 'Correct the row at its producer, or discard it.' },
  'invalid-encoding': {
    action: 'review',
    advice: 'The record is not UTF-8; re-encode it at its producer.',
  },
  'too-large': {
    action: 'review',
    advice: 'Split the record, or raise the size limit of the source.',
  },
  'too-deep': {
    action: 'review',
    advice: 'Flatten the record at its producer, or raise the depth limit.',
  },
  'unmapped-field': {
    action: 'review',
    advice: 'Map the field, or choose a mode that keeps unknown fields; retry.',
  },
  'type-mismatch': {
    action: 'review',
    advice: 'Choose a type that holds the value (mapping set), or correct it; retry.',
  },
  'out-of-range': {
    action: 'review',
    advice: 'Choose a wider type (mapping set), or correct the value; retry.',
  },
  'value-too-long': { action: 'review', advice: 'Widen the column; retry.' },
  'missing-required': {
    action: 'review',
    advice: 'Make the column nullable, or supply the value; retry.',
  },
  unrepresentable: {
    action: 'review',
    advice: 'The destination cannot store this text (NUL or half a surrogate pair); correct it.',
  },
  'unmapped-stream': {
    action: 'review',
    advice:
      'Give the event a type; where names of streams are data, one that is none, or raise MILLRACE_MAX_STREAMS; retry.',
  },
  'destination-rejected': {
    action: 'review',
    advice: 'The warehouse refused the row; see the SQLSTATE, mend the table or the value, retry.',
  },
  'id-conflict': {
    action: 'review',
    advice: 'Another event has this id with other content; give it an id of its own.',
  },
} as const satisfies Record<string, FailurePolicy>;

export const systemFailures = {
  'source-unavailable': {
    action: 'retry',
    advice: 'Check that the source is up and can be reached.',
  },
  'destination-unavailable': {
    action: 'retry',
    advice: 'Check that the warehouse is up and can be reached.',
  },
  'catalog-unavailable': { action: 'retry', advice: 'Check that the catalog database is up.' },
  'temporal-unavailable': {
    action: 'retry',
    advice: 'Check that the Temporal server is up and its address is right.',
  },
  'staging-unavailable': {
    action: 'retry',
    advice: 'Check the disk (or bucket) that holds the staged files; free some space.',
  },
  'intake-busy': {
    action: 'retry',
    advice: 'More comes in than can be stored now: send again after a moment, with the same ids.',
  },
  'rate-exceeded': {
    action: 'retry',
    advice: 'Send more slowly, or raise maxEventsPerSecond of the source.',
  },
  'quota-exceeded': {
    action: 'retry',
    advice: 'Events wait to be loaded: see status, or raise maxStoredBytes of the source.',
  },
  'schema-locked': {
    action: 'retry',
    advice: 'Another session holds a lock on the table; end it, or wait.',
  },
  'earlier-batch-first': {
    action: 'retry',
    advice: 'Nothing: an earlier batch has to fix column types, or to say which ids it has, first.',
  },
  'pin-outdated': {
    action: 'retry',
    advice:
      'Nothing while the mapping is pinned anew; if that ends: mend column or mapping, run sync.',
  },
  'needs-staging': {
    action: 'retry',
    advice: 'Nothing: the batch is read again through staging, where each row is looked at.',
  },
  'schema-rejected': {
    action: 'stop',
    advice: 'The warehouse refused it; grant the right, or mend the table; then run sync.',
  },
  'position-corrupt': {
    action: 'stop',
    advice: 'Move the lane to a position that is sound with "state set"; then run sync.',
  },
  'ledger-conflict': {
    action: 'stop',
    advice:
      'The warehouse holds other content under this batch id: compare. "recover" takes what is loaded for the batch, but not where events are posted; "resync" then reads the stream anew.',
  },
  'backup-mismatch': {
    action: 'stop',
    advice:
      'Catalog and warehouse are of different moments: run recover (first with --dry-run to see what it would do).',
  },
  'extract-lost': {
    action: 'stop',
    advice:
      'The source no longer has this range and its staged copy is gone: bring it back, run sync.',
  },
  'file-too-large': {
    action: 'stop',
    advice: 'A JSON document is read whole; write it as NDJSON instead.',
  },
  'file-unreadable': {
    action: 'stop',
    advice: 'Make the file readable: its rights, or sound gzip; the next sync looks again.',
  },
  'lane-paused': {
    action: 'stop',
    advice: 'Three batches in a row loaded nothing; see the failed events, then run sync to go on.',
  },
  'invalid-config': {
    action: 'refuse',
    advice: 'Correct the setting that the message names, then try again.',
  },
  'not-found': { action: 'refuse', advice: 'Check the name; the list verbs show what exists.' },
  'invalid-request': { action: 'refuse', advice: 'Correct the request as the message says.' },
  'port-taken': { action: 'refuse', advice: 'Free the port, or start with --ports auto.' },
  'start-failed': { action: 'refuse', advice: 'Read the log that the message names.' },
  conflict: { action: 'refuse', advice: 'Somebody else changed it meanwhile; look again.' },
} as const satisfies Record<string, FailurePolicy>;

export const failurePolicies = { ...dataFailures, ...systemFailures };

/** Kinds that park an event in the review queue. */
export type DataFailureKind = keyof typeof dataFailures;
export type FailureKind = keyof typeof failurePolicies;

export type FailureStage = 'parse' | 'transform' | 'map' | 'load';

export function isFailureKind(text: string): text is FailureKind {
  return Object.hasOwn(failurePolicies, text);
}
