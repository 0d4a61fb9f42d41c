import { isPipelineError } from '../../core/errors.ts';
import type { KnownLane, ObservedLane } from '../../core/source.ts';
import type { FoundFile } from './find-files.ts';
import { formatMemo, newMemo, parseMemo, type FileMemo } from './memo.ts';
import { fileStart, formatPosition } from './position.ts';
import { continues, isUntouched } from './recognise.ts';

interface LaneFile {
  readonly name: string;
  readonly memo: FileMemo;
  /** What is at the lane's path now. */
  readonly file: FoundFile | undefined;
  /** It is the file that the lane read. */
  readonly same: boolean;
  /** The note as it is, where it cannot be read. */
  readonly corrupt?: string;
}

/**
 * Which file belongs to which lane now. The lane that has read most of a file claims it first, so
 * that a short beginning that many files share decides nothing. A lane keeps the file at its path;
 * where that is gone or another one, it goes on in the file that begins with what it read (it was
 * renamed): by preference in the very file, elsewhere in one of the same content. A file that
 * changed where it was read is a new generation of the lane at its path. The others are new lanes.
 */
export async function findLanes(
  files: readonly FoundFile[],
  known: readonly KnownLane[],
): Promise<readonly ObservedLane[]> {
  const paths = new Paths(files);
  const lanes = await Promise.all(known.map((lane) => lookUp(lane, paths)));
  lanes.sort((a, b) => claimOf(b) - claimOf(a) || (a.name < b.name ? -1 : 1));
  const claims = new Claims(files, lanes);
  for (const lane of lanes) {
    if (lane.same && claims.isFree(lane.file)) claims.add(lane, lane.file);
    else await claims.addRenamed(lane, 'same file');
  }
  for (const lane of claims.without()) await claims.addRenamed(lane, 'same content');
  for (const lane of claims.without()) {
    if (claims.isFree(lane.file)) claims.add(lane, lane.file, { rewritten: true });
  }
  const names = new Set(known.map(({ name }) => name));
  const fresh = claims.free().map((file) => newLane(file, names));
  return [...claims.observed(), ...fresh].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How much of its file a lane has read, as far as is known. */
function claimOf({ memo, corrupt }: LaneFile): number {
  return corrupt === undefined ? memo.head : -1;
}

/** What is at a path; below a folder that cannot be looked into: that fault. */
class Paths {
  readonly #files: ReadonlyMap<string, FoundFile>;
  readonly #closed: readonly FoundFile[];

  constructor(files: readonly FoundFile[]) {
    this.#files = new Map(files.map((file) => [file.path, file]));
    this.#closed = files.filter(({ fault }) => fault?.kind === 'file-unreadable');
  }

  at(path: string): FoundFile | undefined {
    const file = this.#files.get(path);
    if (file) return file;
    const folder = this.#closed.find((closed) => path.startsWith(`${closed.path}/`));
    return folder && { ...folder, path };
  }
}

/** Who has which file: a lane at most one, a file at most one lane. */
class Claims {
  readonly #files: readonly FoundFile[];
  readonly #lanes: readonly LaneFile[];
  /** Lanes that go on at their path. */
  readonly #keepers: ReadonlyMap<string, LaneFile>;
  readonly #taken = new Set<FoundFile>();
  readonly #observed = new Map<LaneFile, ObservedLane>();

  constructor(files: readonly FoundFile[], lanes: readonly LaneFile[]) {
    this.#files = files;
    this.#lanes = lanes;
    const keepers = lanes.filter(({ same }) => same);
    this.#keepers = new Map(keepers.map((lane) => [lane.memo.path, lane]));
  }

  isFree(file: FoundFile | undefined): file is FoundFile {
    return file !== undefined && !this.#taken.has(file);
  }

  free(): readonly FoundFile[] {
    return this.#files.filter((file) => this.isFree(file));
  }

  /** Lanes that have no file yet. */
  without(): readonly LaneFile[] {
    return this.#lanes.filter((lane) => !this.#observed.has(lane));
  }

  observed(): readonly ObservedLane[] {
    return [...this.#observed.values()];
  }

  add(lane: LaneFile, file: FoundFile, change: Pick<FileMemo, 'rewritten'> = {}): void {
    this.#taken.add(file);
    const memo = { ...lane.memo, path: file.path, ...change };
    const observed = observe(lane.name, file, memo);
    const { corrupt } = lane;
    this.#observed.set(lane, corrupt === undefined ? observed : { ...observed, memo: corrupt });
  }

  async addRenamed(lane: LaneFile, by: 'same file' | 'same content'): Promise<void> {
    const { memo, file: own } = lane;
    if (memo.head === 0) return;
    for (const file of this.free()) {
      if (file === own || file.size === 0 || !this.#mayMove(lane, file, by)) continue;
      const found = await continues(file, memo).catch(() => false);
      if (found) return this.add(lane, file);
    }
  }

  /** A path that a lane goes on at is taken from it only by the very file that was moved there. */
  #mayMove({ memo }: LaneFile, { path, inode }: FoundFile, by: 'same file' | 'same content') {
    const keeper = this.#keepers.get(path);
    if (by === 'same content') return keeper === undefined;
    return inode === memo.inode && keeper?.memo.inode !== inode;
  }
}

function newLane(file: FoundFile, names: Set<string>): ObservedLane {
  return observe(newName(file.path, names), file, newMemo(file.path));
}

/** A file that was seen rewritten, or empty, stays so, whatever is written into it next. */
async function lookUp({ name, memo: text }: KnownLane, paths: Paths): Promise<LaneFile> {
  const note = readNote(text);
  if (note === null) return { name, ...lookUpCorrupt(name, text, paths) };
  const { rewritten = false, ...memo } = note;
  const file = paths.at(memo.path);
  const same =
    file !== undefined &&
    !rewritten &&
    (isUntouched(file, memo) || (await mayContinue(file, memo)));
  return { name, memo, file, same };
}

function readNote(text: string): FileMemo | null {
  try {
    return parseMemo(text);
  } catch {
    return null;
  }
}

/** Keeps the file that the lane is named for, so that nobody reads it anew; planning says why. */
function lookUpCorrupt(name: string, corrupt: string, paths: Paths) {
  const path = name.replace(/~\d+$/, '');
  const file = paths.at(name) ?? paths.at(path);
  return { memo: newMemo(file?.path ?? path), file, same: file !== undefined, corrupt };
}

/** A file that cannot be read now is not another one: planning it says what is wrong. */
async function mayContinue(file: FoundFile, memo: FileMemo): Promise<boolean> {
  if (file.fault?.kind === 'invalid-config') return false; // no file, or one out of the root
  try {
    return await continues(file, memo);
  } catch (error) {
    if (isPipelineError(error)) return true;
    throw error;
  }
}

function observe(name: string, file: FoundFile, memo: FileMemo): ObservedLane {
  return {
    name,
    stream: file.stream,
    start: formatPosition(fileStart),
    memo: formatMemo(memo),
  };
}

function newName(path: string, names: Set<string>): string {
  let name = path;
  for (let n = 2; names.has(name); n += 1) name = `${path}~${n}`;
  names.add(name);
  return name;
}
