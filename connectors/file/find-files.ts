import type { Dirent, Stats } from 'node:fs';
import { glob, lstat, opendir, realpath, stat } from 'node:fs/promises';
import {
  basename,
  isAbsolute,
  join,
  matchesGlob,
  normalize,
  relative,
  resolve,
  sep,
} from 'node:path';
import { PipelineError } from '../../core/errors.ts';
import { toSourceError } from './content.ts';
import type { FileRule } from './settings.ts';

export interface FoundFile {
  /** Below the root, with `/`. */
  readonly path: string;
  readonly absolute: string;
  /** The root without links: the file stays below it. */
  readonly realRoot: string;
  readonly stream: string;
  readonly rule: FileRule;
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
  /** Why it cannot be read: planning its lane says so, and stops that lane alone. */
  readonly fault?: PipelineError;
}

/**
 * Files that the rules name, by path, and folders that cannot be looked into. Each belongs to the
 * first rule that names it.
 * @throws PipelineError `source-unavailable` when the root is not there, `invalid-config` when a
 *   pattern leads out of it.
 */
export async function findFiles(root: string, rules: readonly FileRule[]): Promise<FoundFile[]> {
  const realRoot = await findRoot(root);
  const found = new Map<string, FoundFile>();
  for (const rule of rules) {
    for (const pattern of rule.globs) {
      refuseOutside(pattern);
      for (const path of await listPaths(root, pattern)) {
        if (found.has(path)) continue;
        const file = await inspect({ path, absolute: join(root, path), realRoot, rule });
        if (file) found.set(path, file);
      }
    }
  }
  const files = await withoutMoved([...found.values()]);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What a pattern names, and the folders passed on the way: `glob` skips what it cannot list. */
async function listPaths(root: string, pattern: string): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  const add = ({ parentPath, name }: Dirent) =>
    paths.add(
      relative(root, resolve(root, parentPath, name))
        .split(sep)
        .join('/'),
    );
  const exclude = (entry: Dirent) => {
    if (entry.isDirectory()) add(entry);
    return false;
  };
  for await (const entry of glob(pattern, { cwd: root, withFileTypes: true, exclude })) add(entry);
  return paths;
}

/** One file by its path, as `findFiles` would find it, without looking at all the others. */
export async function findFile(
  root: string,
  rules: readonly FileRule[],
  path: string,
): Promise<FoundFile | null> {
  const rule = rules.find(({ globs }) => globs.some((glob) => matchesGlob(path, normalize(glob))));
  if (rule) {
    return inspect({ path, absolute: join(root, path), realRoot: await findRoot(root), rule });
  }
  return (await findFiles(root, rules)).find((file) => file.path === path) ?? null;
}

/** The file at the same path, as it is now; null when there is none any more. */
export function lookAgain(file: FoundFile): Promise<FoundFile | null> {
  return inspect(file);
}

async function findRoot(root: string): Promise<string> {
  const info = await stat(root).catch(() => null);
  const readable = await canList(root).catch(() => false);
  if (info?.isDirectory() && readable) return realpath(root);
  throw new PipelineError(
    'source-unavailable',
    `the folder ${root} is not there (or not readable): create it, or correct root: in the configuration`,
  );
}

async function canList(folder: string): Promise<true> {
  await (await opendir(folder)).close();
  return true;
}

function refuseOutside(pattern: string): void {
  if (!isAbsolute(pattern) && !pattern.split(/[\\/]/).includes('..')) return;
  throw new PipelineError(
    'invalid-config',
    `path "${pattern}" leads out of the root: set root: to its folder and write the path below it`,
  );
}

type Place = Pick<FoundFile, 'path' | 'absolute' | 'realRoot' | 'rule'>;

/** Null where no file is. What is there and cannot be read is found, with its fault. */
async function inspect(at: Place): Promise<FoundFile | null> {
  const { path, absolute, realRoot, rule } = at;
  const place = { path, absolute, realRoot, rule, stream: rule.stream ?? stemOf(path) };
  try {
    const info = await stat(absolute);
    if (info.isDirectory()) return (await canList(absolute)) && null;
    const fault = await faultOf(at, info);
    const { size, mtimeMs, ino: inode } = info;
    return fault ? { ...place, ...unknown, fault } : { ...place, size, mtimeMs, inode };
  } catch (error) {
    const fault = await whyUnseen(at, error as NodeJS.ErrnoException);
    return fault && { ...place, ...unknown, fault };
  }
}

const unknown = { size: 0, mtimeMs: 0, inode: 0 };

/** What lies there but is not to be read. A pipe would be waited for without end. */
async function faultOf({ path, absolute, realRoot }: Place, info: Stats) {
  if (!info.isFile()) {
    return refused(`${path} is a pipe, socket or device, no file: remove it`);
  }
  const inside = relative(realRoot, await realpath(absolute));
  if (inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)) return null;
  return refused(`${path} is a link out of the root: remove it`);
}

function refused(message: string): PipelineError {
  return new PipelineError('invalid-config', message);
}

const unreadable = new Set(['EACCES', 'EPERM', 'EIO', 'ELOOP', 'ENAMETOOLONG']);

/** Null: it is gone since the listing. */
async function whyUnseen(
  { path, absolute }: Place,
  cause: NodeJS.ErrnoException,
): Promise<PipelineError | null> {
  const { code = '' } = cause;
  const fault = (why: string) => new PipelineError('file-unreadable', `${path} ${why}`, { cause });
  if (unreadable.has(code)) return fault(`cannot be read (${code})`);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw toSourceError(cause, path);
  if (await isLink(absolute)) return fault('is a link to nothing');
  // Listed, but not there under the name that the bytes were read as.
  return path.includes('\uFFFD') ? fault('has a name that is not UTF-8: rename it') : null;
}

async function isLink(absolute: string): Promise<boolean> {
  const info = await lstat(absolute).catch(() => null);
  return info?.isSymbolicLink() ?? false;
}

/** A file renamed while the folder is listed may show under both names: the old one goes. */
async function withoutMoved(files: readonly FoundFile[]): Promise<FoundFile[]> {
  const names = new Map<number, number>();
  for (const { inode } of files) names.set(inode, (names.get(inode) ?? 0) + 1);
  const isThere = async (file: FoundFile) =>
    names.get(file.inode) === 1 || (await lookAgain(file)) !== null;
  const there = await Promise.all(files.map(isThere));
  return files.filter((_, at) => there[at]);
}

/** File name without `.gz` and without its last extension. */
export function stemOf(path: string): string {
  const name = basename(path).replace(/\.gz$/i, '');
  return name.replace(/(?<=.)\.[^.]*$/, '');
}

/** Lower-case extension, without `.gz`. */
export function extensionOf(path: string): string {
  return /\.([^.]*)$/.exec(basename(path).replace(/\.gz$/i, ''))?.[1]?.toLowerCase() ?? '';
}
