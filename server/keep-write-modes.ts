import type { Configuration, PipelineSettings } from '../core/configuration.ts';
import { PipelineError } from '../core/errors.ts';
import type { Mapping, WriteRule } from '../core/mapping.ts';
import { writeRuleOf } from '../pipeline/mapping/write-rule.ts';
import { currentMappings } from '../store/catalog/mappings.ts';
import type { Queryable } from '../store/catalog/catalog.ts';

/**
 * A table keeps the way it is written: rows of an `append` table have no versions to merge by.
 * @throws PipelineError `conflict`, naming the stream and what its table is
 */
export async function refuseOtherWriteModes(
  catalog: Queryable,
  { pipelines }: Configuration,
): Promise<void> {
  for (const pipeline of Object.values(pipelines)) {
    for (const destination of pipeline.destinations) {
      const mappings = await currentMappings(catalog, { source: pipeline.source, destination });
      for (const mapping of mappings) assertSame(mapping, pipeline);
    }
  }
}

function assertSame(mapping: Mapping, pipeline: PipelineSettings): void {
  const { source, stream, merge, replace } = mapping;
  const { write, streams = {} } = pipeline;
  const own = Object.hasOwn(streams, stream) ? streams[stream] : undefined;
  if (write === undefined && own === undefined) return;
  // What the source declared when the table was made; what the configuration says goes before.
  const imported = { ...(merge && { key: merge.key }), ...(replace && { whole: true }) };
  const wanted = describe(writeRuleOf(stream, pipeline, imported));
  if (wanted === describe(mapping)) return;
  throw new PipelineError(
    'conflict',
    `the table of ${source}.${stream} is written with ${describe(mapping)} and stays so: set it back, or load the source under another name`,
  );
}

function describe({ merge, replace }: WriteRule): string {
  if (replace) return 'replace';
  if (!merge) return 'append';
  const version = merge.version === undefined ? '' : `, version ${merge.version}`;
  return `merge (key ${merge.key.join(', ')}${version})`;
}
