import { createHash } from 'node:crypto';
import { shortPath } from '../../core/field-types.ts';

/** Where and how an event failed: what makes two failures the same to a person. Never a value. */
export interface FailurePlace {
  readonly stage: string;
  readonly kind: string;
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly field: string | null;
  readonly expected: string | null;
  readonly observed: string | null;
  readonly sqlState: string | null;
}

export interface Fingerprint {
  /** Of the group; `*`: of many streams. */
  readonly stream: string;
  readonly version: number;
  /** 64 hex digits. */
  readonly fingerprint: string;
  readonly title: string;
}

/** Rises when the rule below changes; groups of older versions stay as they are. */
const version = 1;

/** Path segments that are data rather than names: uuids, long numbers, long hexadecimal texts. */
const dataSegment =
  /(^|\.)(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{3,}|[0-9a-f]{16,})(?=\.|$)/gi;

export function fingerprintOf(place: FailurePlace): Fingerprint {
  const { stage, kind, source, destination, expected, observed, sqlState } = place;
  // Streams without end would be groups without end.
  const stream = kind === 'unmapped-stream' && stage === 'map' ? '*' : place.stream;
  const field = place.field?.replaceAll(dataSegment, '$1*') ?? null;
  const parts = [version, stage, kind, source, stream, destination, field, expected, observed];
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([...parts, sqlState]))
    .digest('hex');
  return { version, fingerprint, stream, title: titleOf({ ...place, field }) };
}

function titleOf({ kind, field, expected, observed, sqlState }: FailurePlace): string {
  const where = field === null ? '' : `${shortPath(field)}: `;
  if (expected !== null && observed !== null) {
    return `${where}${observed} where ${expected} is expected (${kind})`;
  }
  return `${where}${kind}${sqlState === null ? '' : ` (SQLSTATE ${sqlState})`}`;
}
