import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { report } from './progress.js';

/**
 * Runs `action` while no other set-up of this clone does. Waits for the other one with a message;
 * the lock of a process that no longer lives is taken over.
 * @template T
 * @param {string} lockFile
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withLock(lockFile, action) {
  mkdirSync(dirname(lockFile), { recursive: true, mode: 0o700 });
  let told = false;
  while (!tryLock(lockFile)) {
    const owner = readOwner(lockFile);
    if (owner !== undefined && !isAlive(owner)) removeStale(lockFile, owner);
    else {
      if (!told)
        report(`another set-up runs here (pid ${owner?.pid ?? 'unknown'}): waiting for it`);
      told = true;
      await sleep(200);
    }
  }
  try {
    return await action();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** A link appears whole or not at all: nobody ever reads a half-written owner. */
function tryLock(lockFile) {
  const draft = `${lockFile}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, bornAt: bornAt(process.pid) }));
  try {
    linkSync(draft, lockFile);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function readOwner(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Only one waiter at a time looks again and removes, so that nobody removes a fresh lock. */
function removeStale(lockFile, stale) {
  const guard = `${lockFile}.removing`;
  try {
    mkdirSync(guard);
  } catch {
    if (ageMs(guard) > 10_000) rmSync(guard, { recursive: true, force: true });
    return;
  }
  const now = readOwner(lockFile);
  if (now?.pid === stale.pid && now.bornAt === stale.bornAt) rmSync(lockFile, { force: true });
  rmSync(guard, { recursive: true, force: true });
}

function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function isAlive({ pid, bornAt: recorded }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM' && recorded === bornAt(pid);
  }
  return recorded === bornAt(pid);
}

/** Start time of a process in clock ticks, so that a reused pid is told apart; null without /proc. */
function bornAt(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
