import type { LoadRequest, LoadTable } from '../core/destination.ts';
import { must } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { BatchRow } from '../store/catalog/batches.ts';
import type { Pins } from '../store/catalog/deliveries.ts';
import { currentMapping, readMapping } from '../store/catalog/mappings.ts';
import type { LoadInput } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** A delivery that is being loaded. */
export interface Loading {
  readonly dependencies: ActivityDependencies;
  readonly input: LoadInput;
  readonly batch: BatchRow;
  readonly pins: Readonly<Pins>;
}

/** The mapping that a delivery is pinned to, and what newer versions have beyond it. */
export async function readPinned({ dependencies, input, batch, pins }: Loading, stream: string) {
  const { catalog } = dependencies;
  const version = must(pins[stream], 'the pinned version');
  const key = { source: batch.source, stream, destination: input.destination, version };
  const mapping = await readMapping(catalog, key);
  const laterColumns = async () => columnsBeyond(mapping, await currentMapping(catalog, key));
  return { mapping, laterColumns };
}

export function toRequest(
  { dependencies, batch, input, pins }: Loading,
  mappings: readonly Mapping[],
  { loadAttempt, extractSha256 }: { readonly loadAttempt: string; readonly extractSha256: string },
): LoadRequest {
  const { batchId, source, lane, from, to } = batch;
  const write = batch.run === 'live' ? 'append' : 'append-absent';
  return {
    claim: {
      batchId,
      source,
      lane,
      from,
      to,
      extractSha256,
      mapAttempt: input.mapAttempt,
      loadAttempt,
      mappingVersions: pins,
    },
    tables: mappings.map((mapping) => toTable(mapping, write)),
    write,
    fenceTimeoutMs: dependencies.settings.fenceTimeoutMs,
    signal: dependencies.signal(),
  };
}

function toTable({ table, merge, replace }: Mapping, write: LoadRequest['write']): LoadTable {
  const compares = merge !== undefined || replace === true || write === 'append-absent';
  return { ...table, alone: compares };
}

function columnsBeyond({ columns }: Mapping, newest: Mapping | null): readonly string[] {
  const known = new Set(columns.map(({ column }) => column));
  return (newest?.columns ?? []).map(({ column }) => column).filter((name) => !known.has(name));
}
