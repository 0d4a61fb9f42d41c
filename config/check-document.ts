import type { z } from 'zod';
import type { Configuration, PipelineSettings } from '../core/configuration.ts';
import { isPipelineError } from '../core/errors.ts';
import { destinationModule, sourceModule } from '../connectors/registry.ts';
import { checkDemo } from './check-demo.ts';
import { documentShape, intervalOf, type ConfigurationDocument } from './document-shape.ts';
import { missing, type Problem } from './problems.ts';

/** Everything that is wrong with a document, or the configuration that it describes. */
export async function checkDocument(document: unknown): Promise<{
  readonly configuration: Configuration | null;
  readonly problems: readonly Problem[];
}> {
  const parsed = documentShape.safeParse(document ?? {});
  if (!parsed.success) return { configuration: null, problems: toProblems(parsed.error, []) };
  const problems = [
    ...(await checkConnectors(parsed.data)),
    ...checkPipelines(parsed.data),
    ...checkNames(parsed.data),
    ...(await checkPlaces(parsed.data)),
    ...(await checkDemo(parsed.data)),
  ];
  if (problems.length > 0) return { configuration: null, problems };
  return { configuration: toConfiguration(parsed.data), problems };
}

function toConfiguration({
  destinations,
  sources,
  pipelines,
  demo,
}: ConfigurationDocument): Configuration {
  return {
    destinations,
    sources,
    pipelines: Object.fromEntries(
      Object.entries(pipelines).map(([name, pipeline]) => [name, toPipeline(pipeline)]),
    ),
    ...(demo && { demo }),
  };
}

function toPipeline({
  source,
  destinations,
  schedule,
  write,
  streams,
}: ConfigurationDocument['pipelines'][string]): PipelineSettings {
  return {
    source,
    destinations,
    ...(schedule !== undefined && { everyMs: intervalOf(schedule) }),
    ...(write && { write }),
    ...(streams && { streams: streams as NonNullable<PipelineSettings['streams']> }),
  };
}

async function checkConnectors({ destinations, sources }: ConfigurationDocument) {
  const problems: Problem[] = [];
  for (const [name, block] of Object.entries(sources)) {
    problems.push(...(await checkBlock(['sources', name], block, sourceModule)));
  }
  for (const [name, block] of Object.entries(destinations)) {
    problems.push(...(await checkBlock(['destinations', name], block, destinationModule)));
  }
  return problems;
}

async function checkBlock(
  path: readonly string[],
  { type, ...settings }: { type: string; [setting: string]: unknown },
  find: (type: string) => Promise<{ readonly settings: z.ZodType }>,
): Promise<readonly Problem[]> {
  try {
    const result = (await find(type)).settings.safeParse(settings);
    return result.success ? [] : toProblems(result.error, path);
  } catch (error) {
    if (!isPipelineError(error)) throw error;
    return [{ path: [...path, 'type'], message: error.message }];
  }
}

function checkPipelines({ destinations, sources, pipelines }: ConfigurationDocument) {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  for (const [name, pipeline] of Object.entries(pipelines)) {
    const at = (...rest: (string | number)[]) => ['pipelines', name, ...rest];
    const { source } = pipeline;
    if (!Object.hasOwn(sources, source)) {
      problems.push({
        path: at('source'),
        message: missing('source', source, Object.keys(sources)),
      });
    }
    const owner = owners.get(source);
    if (owner !== undefined) {
      const message = `source ${source} belongs to pipeline ${owner} already: one source, one pipeline`;
      problems.push({ path: at('source'), message });
    }
    owners.set(source, name);
    for (const [index, destination] of pipeline.destinations.entries()) {
      if (Object.hasOwn(destinations, destination)) continue;
      const message = missing('destination', destination, Object.keys(destinations));
      problems.push({ path: at('destinations', index), message });
    }
    if (new Set(pipeline.destinations).size < pipeline.destinations.length) {
      problems.push({ path: at('destinations'), message: 'a destination stands here twice' });
    }
  }
  return problems;
}

/** What the ids of batches begin with that are not live. */
const runNames: ReadonlySet<string> = new Set(['restream', 'backfill', 'replace']);

/** Sources give schemas their names: `a-b` and `a_b` would share one. */
function checkNames({ sources }: ConfigurationDocument): readonly Problem[] {
  const folded = new Map<string, string>();
  return Object.keys(sources).flatMap((name) => {
    if (runNames.has(name)) {
      return [{ path: ['sources', name], message: `is a name that batches use: choose another` }];
    }
    const key = name.replaceAll(/[-_]+/g, '_').replace(/_$/, '');
    const other = folded.get(key);
    folded.set(key, name);
    if (other === undefined) return [];
    return [
      { path: ['sources', name], message: `is too like source ${other}: their tables would meet` },
    ];
  });
}

async function checkPlaces({ destinations }: ConfigurationDocument): Promise<readonly Problem[]> {
  const places = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [name, { type, ...settings }] of Object.entries(destinations)) {
    const module = await destinationModule(type).catch(() => null);
    const parsed = module?.settings.safeParse(settings);
    const place = parsed?.success ? module?.placeOf(parsed.data) : null;
    if (place === null || place === undefined) continue;
    const other = places.get(place);
    places.set(place, name);
    if (other === undefined) continue;
    const message = `is in one database with destination ${other}: give each its own`;
    problems.push({ path: ['destinations', name], message });
  }
  return problems;
}

function toProblems(error: z.ZodError, prefix: readonly (string | number)[]): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path.filter((part) => typeof part !== 'symbol')];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown setting ${key}` }));
    }
    if (issue.code === 'invalid_key') {
      const reason = issue.issues.map(({ message }) => message).join(', ');
      return [{ path, message: `the name ${reason}` }];
    }
    return [{ path, message: issue.message }];
  });
}
