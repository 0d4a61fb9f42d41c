import type { RecordBlock } from '../core/records.ts';
import { decodeFrames } from '../formats/frames.ts';
import type { BatchRow } from '../store/catalog/batches.ts';
import { extractFile, type Manifest } from '../store/catalog/extracts.ts';
import { createIntakeReader } from '../store/catalog/intake-chunks.ts';
import { readWhole } from '../store/staging/read-whole.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { BlockInput } from './threads/block-task.ts';
import { isInPlace, readInPlace } from './threads/in-place-extract.ts';

/** Where a thread finds the records of an extract. */
export function extractInput(batch: BatchRow, manifest: Manifest): BlockInput {
  const file = extractFile(manifest);
  if (!isInPlace(file)) return { kind: 'frames', file };
  const range = { from: batch.from, to: batch.to, bytes: batch.plannedBytes };
  return { kind: 'in-place', source: batch.source, range, sha256: file.sha256 };
}

/**
 * The records of an extract.
 * @throws PipelineError `extract-lost`
 */
export function openExtract(
  { staging, catalog, signal }: Pick<ActivityDependencies, 'staging' | 'catalog' | 'signal'>,
  batch: BatchRow,
  manifest: Manifest,
): AsyncIterable<RecordBlock> {
  const input = extractInput(batch, manifest);
  if (input.kind === 'in-place') return readInPlace(input, createIntakeReader(catalog), signal());
  return decodeFrames(readWhole(staging, extractFile(manifest)));
}
