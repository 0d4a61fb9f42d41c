import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { TestInstance } from './instance.ts';

export interface FailedRow {
  readonly line: number;
  readonly raw: Buffer;
  readonly sha: string;
  readonly kind: string;
  readonly stage: string;
  readonly field: string | null;
  readonly state: string;
  readonly sql_state: string | null;
  readonly message: string;
}

/** What SQL readers see of a stream's failed events. */
export function failedRows(instance: TestInstance, stream: string): Promise<FailedRow[]> {
  return instance.catalog<FailedRow>(
    `SELECT line_number::int AS line, raw, raw_sha256 AS sha, kind, stage, field, state, sql_state, message
       FROM millrace.failed_events WHERE stream = $1 ORDER BY ordinal`,
    [stream],
  );
}

type Summary = Pick<FailedRow, 'line' | 'kind' | 'stage' | 'field' | 'state'>;

export function summarize({ line, kind, stage, field, state }: Summary): string {
  return `${line}: ${stage} ${kind} ${field ?? '-'} ${state}`;
}

export function expectBytes(
  { line, raw, sha }: FailedRow,
  original: string | Uint8Array | undefined,
) {
  const bytes = Buffer.from(original as string);
  expect(raw.equals(bytes), `raw bytes of line ${line}`).toBe(true);
  expect(sha).toBe(createHash('sha256').update(bytes).digest('hex'));
}
