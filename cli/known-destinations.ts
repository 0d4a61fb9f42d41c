import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../core/configuration.ts';
import { writePrivateFile } from '../local/home.ts';
import type { InstanceInfo } from '../local/instance.ts';

type Urls = Readonly<Record<string, string>>;

/**
 * Notes where the destinations of an applied configuration are, passwords included: the home is
 * private, and people and tests want to look at their tables.
 */
export async function noteDestinations(
  info: InstanceInfo,
  { destinations }: Configuration,
): Promise<InstanceInfo> {
  const base = info.warehouseUrl?.replace(/\/[^/]*$/, '');
  const urls = Object.entries(destinations).flatMap(([name, { url }]) => {
    if (typeof url === 'string') return [[name, url] as const];
    return base === undefined ? [] : [[name, `${base}/${name}`] as const];
  });
  await writePrivateFile(fileOf(info), JSON.stringify(Object.fromEntries(urls)));
  return withDestinations(info);
}

export async function withDestinations(info: InstanceInfo): Promise<InstanceInfo> {
  const text = await readFile(fileOf(info), 'utf8').catch(() => '{}');
  return { ...info, destinations: { ...info.destinations, ...(JSON.parse(text) as Urls) } };
}

function fileOf({ home }: InstanceInfo): string {
  return join(home, 'destinations.json');
}
