import type { DemoSettings } from '../core/configuration.ts';
import { sourceModule } from '../connectors/registry.ts';
import type { ConfigurationDocument } from './document-shape.ts';
import { missing, type Problem } from './problems.ts';

/** What of a source the demo has to know. */
interface Trait {
  readonly isPosted: boolean;
  readonly isPlaceless: boolean;
}

/** Only the demo's source may leave open where it is, and it needs a database for itself. */
export async function checkDemo(document: ConfigurationDocument): Promise<readonly Problem[]> {
  const { demo = {}, sources } = document;
  const traits = await readTraits(sources);
  const placeless = [...traits].filter(([, { isPlaceless }]) => isPlaceless).map(([name]) => name);
  return [
    ...checkNames(demo, Object.keys(sources)),
    ...checkTraits(demo, traits),
    ...placeless
      .filter((name) => name !== demo.database)
      .map((name) => ({
        path: ['sources', name],
        message: `source ${name} needs a url: where its database is`,
      })),
    ...checkPlace(document),
  ];
}

function checkNames(demo: DemoSettings, known: readonly string[]): readonly Problem[] {
  const named = Object.entries(demo) as [string, string | undefined][];
  return named.flatMap(([setting, name]) => {
    if (name === undefined || known.includes(name)) return [];
    return [{ path: ['demo', setting], message: missing('source', name, known) }];
  });
}

function checkTraits(
  { events = '', database = '' }: DemoSettings,
  traits: ReadonlyMap<string, Trait>,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (traits.get(events)?.isPosted === false) {
    const message = `nothing can be posted to source ${events}: its type has to be http`;
    problems.push({ path: ['demo', 'events'], message });
  }
  if (traits.get(database)?.isPlaceless === false) {
    const message = `source ${database} has to be of type postgres, without a url`;
    problems.push({ path: ['demo', 'database'], message });
  }
  return problems;
}

/** Destinations without a url have a database of their name there too. */
function checkPlace({ demo, destinations }: ConfigurationDocument): readonly Problem[] {
  const name = demo?.database ?? '';
  const other = Object.hasOwn(destinations, name) ? destinations[name] : undefined;
  if (!other || other['url'] !== undefined) return [];
  const message = 'would be in one database with the source of that name';
  return [{ path: ['destinations', name], message }];
}

async function readTraits(
  sources: ConfigurationDocument['sources'],
): Promise<ReadonlyMap<string, Trait>> {
  const traits = new Map<string, Trait>();
  for (const [name, { type, ...settings }] of Object.entries(sources)) {
    const module = await sourceModule(type).catch(() => null);
    const parsed = module?.settings.safeParse(settings);
    if (!module || !parsed?.success) continue; // said elsewhere
    const isPlaceless = module.isPlaceless?.(parsed.data) ?? false;
    traits.set(name, { isPosted: module.intakeRules !== undefined, isPlaceless });
  }
  return traits;
}
