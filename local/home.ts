import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PipelineError } from '../core/errors.ts';

/** Also what stands where the folder, or one above it, should be. */
const unwritable = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST']);
const leastFreeBytes = 32 * 1024 * 1024;

/** The folder that holds all state of one instance, and the files in it. */
export interface Home {
  readonly directory: string;
  readonly state: string;
  readonly owner: string;
  readonly adminToken: string;
  readonly secretKey: string;
  readonly logs: string;
  readonly staging: string;
  readonly temporalDatabase: string;
}

export function homeDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.MILLRACE_HOME || '.millrace');
}

export function homePaths(directory: string): Home {
  return {
    directory,
    state: join(directory, 'state.json'),
    owner: join(directory, 'owner.json'),
    adminToken: join(directory, 'admin-token'),
    secretKey: join(directory, 'secret.key'),
    logs: join(directory, 'logs'),
    staging: join(directory, 'staging'),
    temporalDatabase: join(directory, 'temporal', 'temporal.db'),
  };
}

/**
 * Creates the home with its secrets, or finds it again. The folder and everything in it is for its
 * owner alone (0700, 0600), because it holds passwords.
 * @throws PipelineError `staging-unavailable` when the disk is full, `invalid-config` when the
 *   folder cannot be written.
 */
export async function openHome(directory: string): Promise<Home> {
  const home = homePaths(directory);
  return withHomeFaults(directory, async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    await mkdir(home.logs, { recursive: true, mode: 0o700 });
    await mkdir(dirname(home.temporalDatabase), { recursive: true, mode: 0o700 });
    await refuseFullDisk(directory);
    await keepSecret(home.adminToken);
    await keepSecret(home.secretKey);
    return home;
  });
}

/** Better said before the start than found in the log of a child that could not write. */
async function refuseFullDisk(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < leastFreeBytes) throw diskFull(directory);
}

/** A random secret that is made once and then stays; two starts at once agree on one. */
export async function keepSecret(file: string): Promise<string> {
  const draft = `${file}.${randomUUID()}`;
  const secret = `${randomBytes(32).toString('base64url')}\n`;
  try {
    await writeFile(draft, secret, { mode: 0o600, flush: true });
    await link(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return (await readFile(file, 'utf8')).trim();
}

/** Replaces a file in one step: a reader (or a crash) sees the old content or the new. */
export async function writePrivateFile(file: string, content: string): Promise<void> {
  const draft = `${file}.${randomUUID()}.new`;
  try {
    await writeFile(draft, content, { mode: 0o600, flush: true });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }); // a full disk holds a part of it
    throw error;
  }
}

/** Says in words what a full or forbidden disk means for the home. */
export async function withHomeFaults<T>(directory: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw explainFault(directory, error);
  }
}

function explainFault(directory: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return diskFull(directory, error);
  }
  if (unwritable.has(code ?? '')) {
    return new PipelineError(
      'invalid-config',
      `The home ${directory} cannot be written (${code}). Run as its owner, or choose another home in MILLRACE_HOME.`,
      { cause: error },
    );
  }
  return error;
}

function diskFull(directory: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'staging-unavailable',
    `The disk that holds the home ${directory} is full. Free some space (1 GiB at least), or choose another home in MILLRACE_HOME.`,
    { cause },
  );
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}
