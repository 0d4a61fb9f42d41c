import type { PipelineSettings, StreamSettings } from '../../core/configuration.ts';
import { PipelineError } from '../../core/errors.ts';
import type { MergeRule } from '../../core/mapping.ts';
import type { ImportedSchema } from '../../core/source.ts';

/**
 * How a new table of a stream is written; undefined: `append`. What the configuration says of the
 * stream goes before what it says of the pipeline; without either, a key means `merge`.
 * @throws PipelineError `schema-rejected` where rows are to be merged and nothing names their key
 */
export function mergeRuleOf(
  stream: string,
  pipeline: PipelineSettings | null,
  imported: ImportedSchema | null,
): MergeRule | undefined {
  const settings = settingsOf(stream, pipeline);
  const { version, key = imported?.key ?? [] } = settings;
  const { write = key.length > 0 ? 'merge' : 'append' } = settings;
  if (write === 'append') return undefined;
  if (key.length > 0) return { key, ...(version !== undefined && { version }) };
  throw new PipelineError(
    'schema-rejected',
    `stream ${stream} is to be merged and has no key: name one under streams of its pipeline ("${stream}: { key: … }"), or write it with append`,
  );
}

function settingsOf(stream: string, pipeline: PipelineSettings | null): StreamSettings {
  const { write, streams = {} } = pipeline ?? {};
  const own = Object.hasOwn(streams, stream) ? streams[stream] : undefined;
  return { ...(write && { write }), ...own };
}
