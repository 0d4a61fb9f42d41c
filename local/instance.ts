import { readFile } from 'node:fs/promises';
import { homePaths, writePrivateFile } from './home.ts';
import { readOwner } from './owner-lock.ts';
import type { Ports } from './ports.ts';
import type { ProcessRef } from './processes.ts';

/** What a person or script needs to know of a running instance; printed as JSON by `up`. */
export interface InstanceInfo {
  readonly console: string;
  readonly ingest: string;
  readonly temporal: string;
  /** Null where TEMPORAL_ADDRESS names a server of somebody else. */
  readonly temporalUi: string | null;
  readonly catalogUrl: string;
  /** The embedded database of the first destination; null without an embedded Postgres. */
  readonly warehouseUrl: string | null;
  readonly home: string;
  readonly pid: number;
  /** Destinations in the embedded Postgres. Those with a `url` are the configuration's. */
  readonly destinations: Readonly<Record<string, string>>;
  /** The database of the source that the demo fills. */
  readonly demoDatabaseUrl?: string;
  /** By source, on the first start only. */
  readonly tokens: Readonly<Record<string, string>>;
}

export type InstancePhase = 'starting' | 'ready';

/** `state.json`: what the next command, or the next start after a crash, has to know. */
export interface HomeState {
  readonly ports?: Ports;
  /** Where Postgres keeps its data, chosen on the first start (`postgres-place.ts`). */
  readonly postgresData?: string;
  readonly supervisor?: ProcessRef;
  readonly phase?: InstancePhase;
  /** Life-line wrappers of the children by name; each leads a process group. */
  readonly children?: Readonly<Record<string, ProcessRef>>;
  readonly info?: InstanceInfo;
}

export async function readState(home: string): Promise<HomeState> {
  try {
    const state: unknown = JSON.parse(await readFile(homePaths(home).state, 'utf8'));
    return typeof state === 'object' && state !== null ? state : {};
  } catch {
    return {};
  }
}

export async function writeState(home: string, state: HomeState): Promise<void> {
  await writePrivateFile(homePaths(home).state, `${JSON.stringify(state, null, 2)}\n`);
}

export interface Instance {
  readonly supervisor: ProcessRef;
  readonly phase: InstancePhase;
  /** Absent until its ports are known. */
  readonly info?: InstanceInfo;
}

/** The living instance that owns a home, or null. */
export async function readInstance(home: string): Promise<Instance | null> {
  const owner = await readOwner(homePaths(home));
  if (owner === null) return null;
  const { supervisor, phase = 'starting', info } = await readState(home);
  if (supervisor?.pid !== owner.pid) return { supervisor: owner, phase: 'starting' };
  return { supervisor: owner, phase, ...(info && { info }) };
}
