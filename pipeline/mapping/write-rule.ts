import type { PipelineSettings, StreamSettings } from '../../core/configuration.ts';
import { PipelineError } from '../../core/errors.ts';
import type { FieldPath } from '../../core/field-types.ts';
import type { WriteMode, WriteRule } from '../../core/mapping.ts';
import type { ImportedSchema } from '../../core/source.ts';

/** What the source says of a stream. */
type Declared = Pick<ImportedSchema, 'key' | 'whole'>;

/**
 * How a new table of a stream is written. What the configuration says of the stream goes before
 * what it says of the pipeline; without either, a full refresh replaces, and a key means `merge`.
 * @throws PipelineError `schema-rejected` where the stream cannot be written so
 */
export function writeRuleOf(
  stream: string,
  pipeline: PipelineSettings | null,
  imported: Declared | null,
): WriteRule {
  const { key = [], whole = false } = imported ?? {};
  const settings = { key, ...settingsOf(stream, pipeline) };
  const mode = settings.write ?? defaultMode(settings.key.length > 0, whole);
  if (mode === 'append') return {};
  if (mode === 'merge') return mergeRule(stream, settings);
  if (whole) return { replace: true };
  throw rejected(stream, 'replaced, and its source never reads all of it at once: choose merge');
}

function mergeRule(
  stream: string,
  { key, version }: StreamSettings & { readonly key: readonly FieldPath[] },
): WriteRule {
  if (key.length > 0) return { merge: { key, ...(version !== undefined && { version }) } };
  const example = `"${stream}: { key: … }"`;
  throw rejected(
    stream,
    `merged and has no key: name one under streams of its pipeline (${example})`,
  );
}

function defaultMode(hasKey: boolean, whole: boolean): WriteMode {
  if (whole) return 'replace';
  return hasKey ? 'merge' : 'append';
}

function settingsOf(stream: string, pipeline: PipelineSettings | null): StreamSettings {
  const { write, streams = {} } = pipeline ?? {};
  const own = Object.hasOwn(streams, stream) ? streams[stream] : undefined;
  return { ...(write && { write }), ...own };
}

function rejected(stream: string, why: string): PipelineError {
  return new PipelineError(
    'schema-rejected',
    `stream ${stream} is to be ${why}, or write it with append`,
  );
}
