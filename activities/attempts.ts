import { randomUUID } from 'node:crypto';
import { stagingKey } from '../store/staging/names.ts';

/** Name of one try at a step: its files and records are told apart by it. */
export function newAttempt(): string {
  return randomUUID();
}

/** Everything that one attempt at one batch stages lies below this name. */
export function stagingPrefix(batchId: string, attempt: string): string {
  return `extracts/${stagingKey(batchId)}/${attempt}`;
}
