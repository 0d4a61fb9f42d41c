import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { link, mkdir, open, readdir, rm, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { PipelineError } from '../../core/errors.ts';
import type { StagedFile, Staging } from '../../core/staging.ts';

const readBytes = 1024 * 1024;

/** Staging in a folder of the local disk. See `core/staging.ts`. */
export function createLocalStaging(root: string): Staging {
  return {
    put: (name, content) => putFile(resolveName(root, name), name, content),
    get: (name, from, to) => readFile(resolveName(root, name), name, from, to),
    delete: (prefix) => rm(resolveName(root, prefix), { recursive: true, force: true }),
    list: (prefix) => listFolder(resolveName(root, prefix)),
    freeBytes: () => freeBytes(root),
  };
}

function resolveName(root: string, name: string): string {
  const path = join(root, name);
  if (path.startsWith(join(root, sep)) && !name.split('/').includes('..')) return path;
  throw new PipelineError('invalid-request', 'a staged name must stay inside the staging folder');
}

/** Written under another name, made durable, then linked: a reader sees all of it or nothing. */
async function putFile(
  path: string,
  name: string,
  content: AsyncIterable<Uint8Array>,
): Promise<StagedFile> {
  const temporary = join(dirname(path), `.${randomUUID()}`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const written = await writeDurably(temporary, content);
    await link(temporary, path);
    await syncFolder(dirname(path));
    return { name, ...written };
  } catch (error) {
    throw toPutError(error, name);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

async function writeDurably(path: string, content: AsyncIterable<Uint8Array>) {
  const file = await open(path, 'wx');
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of content) {
      await file.writeFile(chunk);
      hash.update(chunk);
      bytes += chunk.byteLength;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync().finally(() => folder.close());
}

async function* readFile(
  path: string,
  name: string,
  from = 0,
  to?: number,
): AsyncIterable<Uint8Array> {
  try {
    const { size } = await stat(path);
    const end = to ?? size;
    if (size < end)
      throw new PipelineError('extract-lost', `staged file ${name} is shorter than it was`);
    if (end <= from) return;
    const options = { start: from, end: end - 1, highWaterMark: readBytes };
    for await (const chunk of createReadStream(path, options)) yield chunk as Uint8Array;
  } catch (error) {
    throw toStagingError(error, name);
  }
}

async function listFolder(path: string) {
  const entries = await readFolder(path);
  const listed = [];
  for (const entry of entries) {
    const total = await measure(join(path, entry.name), entry);
    listed.push({ name: entry.name, ...total });
  }
  return listed;
}

async function measure(path: string, entry: Dirent): Promise<{ bytes: number; changedAt: number }> {
  const info = await stat(path).catch(() => null);
  let [bytes, changedAt] = [info?.isFile() ? info.size : 0, info?.mtimeMs ?? 0];
  if (!entry.isDirectory()) return { bytes, changedAt };
  for (const child of await readFolder(path)) {
    const inner = await measure(join(path, child.name), child);
    bytes += inner.bytes;
    changedAt = Math.max(changedAt, inner.changedAt);
  }
  return { bytes, changedAt };
}

async function readFolder(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function freeBytes(root: string): Promise<number> {
  await mkdir(root, { recursive: true });
  const { bavail, bsize } = await statfs(root);
  return bavail * bsize;
}

const explanations: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: free some space',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied: check the owner of the staging folder',
  EIO: 'the disk reports an error',
  EMFILE: 'too many open files',
};

/** A folder that is swept away while a file is written into it says nothing about the source. */
function toPutError(error: unknown, name: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return toStagingError(error, name);
  return new PipelineError('staging-unavailable', `the folder of staged file ${name} is gone`, {
    cause: error,
  });
}

function toStagingError(error: unknown, name: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'EEXIST') return new PipelineError('conflict', `staged file ${name} exists already`);
  if (code === 'ENOENT') return new PipelineError('extract-lost', `staged file ${name} is gone`);
  const explanation = explanations[code];
  if (explanation === undefined) return error;
  return new PipelineError('staging-unavailable', `cannot write staged files: ${explanation}`, {
    cause: error,
  });
}
