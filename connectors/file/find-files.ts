import { glob, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, matchesGlob, normalize, relative, sep } from 'node:path';
import { PipelineError } from '../../core/errors.ts';
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
}

/**
 * Files that the rules name, by path. Each belongs to the first rule that names it.
 * @throws PipelineError `source-unavailable` when the root is not there, `invalid-config` when a
 *   pattern or link leads out of it.
 */
export async function findFiles(root: string, rules: readonly FileRule[]): Promise<FoundFile[]> {
  const realRoot = await findRoot(root);
  const found = new Map<string, FoundFile>();
  for (const rule of rules) {
    for (const pattern of rule.globs) {
      refuseOutside(pattern);
      for await (const name of glob(pattern, { cwd: root })) {
        const path = normalize(name).split(sep).join('/');
        if (found.has(path)) continue;
        const file = await inspect({ path, absolute: join(root, path), realRoot, rule });
        if (file) found.set(path, file);
      }
    }
  }
  const files = await withoutMoved([...found.values()]);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
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
  if (info?.isDirectory()) return realpath(root);
  throw new PipelineError(
    'source-unavailable',
    `the folder ${root} is not there (or not readable): create it, or correct root: in the configuration`,
  );
}

function refuseOutside(pattern: string): void {
  if (!isAbsolute(pattern) && !pattern.split(/[\\/]/).includes('..')) return;
  throw new PipelineError(
    'invalid-config',
    `path "${pattern}" leads out of the root: set root: to its folder and write the path below it`,
  );
}

async function inspect(
  at: Pick<FoundFile, 'path' | 'absolute' | 'realRoot' | 'rule'>,
): Promise<FoundFile | null> {
  const { path, absolute, realRoot, rule } = at;
  const info = await stat(absolute).catch(() => null); // gone since the listing
  const real = await realpath(absolute).catch(() => null);
  if (!info?.isFile() || real === null) return null;
  const inside = relative(realRoot, real);
  if (inside.startsWith('..') || isAbsolute(inside)) {
    throw new PipelineError('invalid-config', `${path} is a link out of the root: remove it`);
  }
  const { size, mtimeMs, ino: inode } = info;
  const stream = rule.stream ?? stemOf(path);
  return { path, absolute, realRoot, stream, rule, size, mtimeMs, inode };
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
