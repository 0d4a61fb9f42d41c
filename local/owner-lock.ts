import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { Home } from './home.ts';
import { codeOf } from './home.ts';
import { isAlive, refOf, waitUntil, type ProcessRef } from './processes.ts';

/** Makes this process the owner of the home; false when a living process owns it already. */
export async function claimHome(home: Home): Promise<boolean> {
  let claimed = false;
  await waitUntil(async () => {
    claimed = await tryClaim(home);
    if (claimed || (await readOwner(home)) !== null) return true;
    await removeStale(home.owner);
    return false;
  }, 15_000);
  return claimed;
}

/** The living process that owns the home, or null. */
export async function readOwner(home: Home): Promise<ProcessRef | null> {
  const owner = await readRef(home.owner);
  return owner !== null && isAlive(owner) ? owner : null;
}

export async function releaseHome(home: Home): Promise<void> {
  const owner = await readRef(home.owner);
  if (owner?.pid === process.pid) await rm(home.owner, { force: true });
}

/** A link appears whole or not at all, so that nobody reads a half-written owner. */
async function tryClaim(home: Home): Promise<boolean> {
  const draft = `${home.owner}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(refOf(process.pid)), { mode: 0o600 });
  try {
    await link(draft, home.owner);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** One process at a time looks again and removes, so that nobody removes a fresh claim. */
async function removeStale(file: string): Promise<void> {
  const guard = `${file}.removing`;
  try {
    await mkdir(guard);
  } catch {
    if (await isOld(guard)) await rm(guard, { recursive: true, force: true });
    return;
  }
  const owner = await readRef(file);
  if (owner === null || !isAlive(owner)) await rm(file, { force: true });
  await rm(guard, { recursive: true, force: true });
}

async function isOld(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > 5_000;
  } catch {
    return false;
  }
}

async function readRef(file: string): Promise<ProcessRef | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isRef(value) ? value : null;
  } catch {
    return null;
  }
}

function isRef(value: unknown): value is ProcessRef {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'bornAt' in value &&
    typeof value.bornAt === 'string'
  );
}
