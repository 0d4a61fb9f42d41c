import type { ConnectorSettings, PipelineSettings } from '../../core/configuration.ts';
import { isPipelineError } from '../../core/errors.ts';
import { shortPath } from '../../core/field-types.ts';
import { rowColumns, type Mapping, type StreamProfile } from '../../core/mapping.ts';
import { defaultRecordLimits, recordCount, type RecordBlock } from '../../core/records.ts';
import type { ImportedSchema } from '../../core/source.ts';
import { decodeRows, jsonRowEncoding } from '../../connectors/kit/json-rows.ts';
import { createBlockProcessor } from '../../pipeline/mapping/block-processor.ts';
import type { BlockOutput } from '../../pipeline/mapping/block-output.ts';
import { assignTableName, schemaNameOf } from '../../pipeline/mapping/names.ts';
import { planMapping } from '../../pipeline/mapping/plan-mapping.ts';
import { writeRuleOf } from '../../pipeline/mapping/write-rule.ts';
import { currentMappings } from '../../store/catalog/mappings.ts';
import type { PreviewTable } from '../contract/previews.ts';
import type { ServerContext } from '../context.ts';
import { openDestination, type OpenedDestination } from '../open-connectors.ts';
import type { StreamSample } from './sample-source.ts';

const askMs = 15_000;

export interface StreamPreview {
  readonly source: string;
  readonly sample: StreamSample;
  readonly imported: ImportedSchema | null;
  readonly pipeline: PipelineSettings;
  readonly destination: string;
  readonly settings: ConnectorSettings;
  /** Sample rows to show. */
  readonly rows: number;
}

/** What a stream would become in one destination, by the records of its sample. Writes nothing. */
export async function previewStream(
  server: ServerContext,
  preview: StreamPreview,
): Promise<PreviewTable> {
  const { sample, destination } = preview;
  await using opened = await openDestination(server, destination, preview.settings);
  const { current, mapping } = await planFor(server, opened, preview);
  const known = new Set(current?.columns.map(({ path }) => path));
  const outputs = passBlocks(sample.blocks, mapping).outputs;
  return {
    destination,
    table: `${mapping.table.schema}.${mapping.table.name}`,
    write: mapping.replace ? 'replace' : mapping.merge ? 'merge' : 'append',
    columns: mapping.columns.map(({ path, column, type }) => ({
      field: shortPath(path),
      column,
      type,
      isNew: !known.has(path),
    })),
    ...(await askStatements(opened, mapping)),
    rows: toRows(outputs, mapping, preview.rows),
    failures: countFailures(outputs),
  };
}

async function planFor(
  { catalog }: ServerContext,
  { naming }: OpenedDestination,
  { source, sample, imported, pipeline, destination }: StreamPreview,
): Promise<{ readonly current: Mapping | null; readonly mapping: Mapping }> {
  const { stream } = sample;
  const others = await currentMappings(catalog, { source, destination });
  const current = others.find((mapping) => mapping.stream === stream) ?? null;
  const taken = new Set(others.map(({ table }) => table.name));
  const { merge, replace } = current ?? {};
  const { mapping } = planMapping({
    source,
    stream,
    destination,
    current,
    profile: passBlocks(sample.blocks, null).profile ?? { stream, events: 0, fields: [] },
    imported,
    naming,
    schemaName: schemaNameOf(source, naming),
    tableName: current?.table.name ?? assignTableName(stream, taken, naming),
    write: current
      ? { ...(merge && { merge }), ...(replace && { replace }) }
      : writeRuleOf(stream, pipeline, imported),
  });
  return { current, mapping };
}

/** Profiles the records, or makes their rows. */
function passBlocks(
  blocks: readonly RecordBlock[],
  mapping: Mapping | null,
): { readonly outputs: readonly BlockOutput[]; readonly profile: StreamProfile | undefined } {
  const target = mapping && {
    destination: mapping.destination,
    batchId: 'preview',
    mappings: new Map([[mapping.stream, mapping]]),
    encoding: jsonRowEncoding,
  };
  const processor = createBlockProcessor({
    profile: target === null,
    targets: target ? [target] : [],
    limits: defaultRecordLimits,
  });
  let ordinal = 0;
  const outputs = blocks.map((block) => {
    const output = processor.process(block, ordinal);
    ordinal += recordCount(block);
    return output;
  });
  return { outputs, profile: processor.profile()[0] };
}

/** A destination that is away leaves out the statements, nothing else. */
async function askStatements(
  { destination }: OpenedDestination,
  mapping: Mapping,
): Promise<Pick<PreviewTable, 'statements' | 'unavailable'>> {
  try {
    const asked = destination.previewMapping?.(mapping, AbortSignal.timeout(askMs));
    return { statements: (await asked) ?? [], unavailable: null };
  } catch (error) {
    if (!isPipelineError(error)) throw error;
    return { statements: null, unavailable: error.message };
  }
}

function toRows(outputs: readonly BlockOutput[], mapping: Mapping, count: number) {
  const at = rowColumns(mapping);
  const places = mapping.columns.map(({ column }) => at.indexOf(column));
  const parts = outputs.flatMap(({ targets }) => targets.flatMap((target) => target.parts));
  const rows = parts.flatMap(({ bytes }) => decodeRows(Buffer.from(bytes).toString()));
  return rows.slice(0, count).map((row) => places.map((place) => row[place] ?? null));
}

function countFailures(outputs: readonly BlockOutput[]): PreviewTable['failures'] {
  const counts = new Map<string, PreviewTable['failures'][number]>();
  const all = outputs.flatMap((output) => [
    ...output.failures,
    ...output.targets.flatMap((target) => target.failures),
  ]);
  for (const { kind, field = null } of all) {
    const key = JSON.stringify([kind, field]);
    const events = (counts.get(key)?.events ?? 0) + 1;
    counts.set(key, { kind, field: field === null ? null : shortPath(field), events });
  }
  return [...counts.values()];
}
