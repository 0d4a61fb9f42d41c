import { resolve } from 'node:path';
import { isPipelineError, PipelineError } from '../../core/errors.ts';
import type { Position, PositionRange } from '../../core/positions.ts';
import type { RecordBlock } from '../../core/records.ts';
import type {
  AskedWindow,
  KnownLane,
  LanePlan,
  ObservedLane,
  PlanLimits,
  PositionWindow,
  ReadContext,
  ReplayableSource,
} from '../../core/source.ts';
import type { SourceContext } from '../kit/connector-module.ts';
import { positionWindow } from '../kit/position-window.ts';
import { openContent, readAll, readContent, type Content } from './content.ts';
import { findFile, findFiles, stemOf, type FoundFile } from './find-files.ts';
import { findLanes } from './find-lanes.ts';
import { formatOf } from './format.ts';
import { bomLength, createLineScanner } from './line-scanner.ts';
import { formatMemo, parseMemo, type FileMemo } from './memo.ts';
import { noteAt } from './note-at.ts';
import { readDocument } from './plan-document.ts';
import { planLines } from './plan-lines.ts';
import { formatGeneration, formatPosition, parsePosition, type FilePosition } from './position.ts';
import { documentBlocks, readLines, type BlockLabels } from './read-blocks.ts';
import { continues, hashBytes, isUntouched } from './recognise.ts';
import { rulesOf, type FileRule, type FileSettings } from './settings.ts';

const headerBytes = 1024 * 1024;
/** A file that changed so lately may change once more within the same tick of its clock. */
const tickMs = 1_000;
/** A file that changes while it is cut is looked at again after a moment. */
const shortWaitMs = 100;

/** Files below a folder; each is a lane. How they may change: README.md beside this file. */
export class FileSource implements ReplayableSource {
  readonly capabilities = { mutable: true, importsSchema: false } as const;
  readonly #settings: FileSettings;
  readonly #context: SourceContext;
  readonly #root: string;
  readonly #rules: readonly FileRule[];

  constructor(settings: FileSettings, context: SourceContext) {
    this.#settings = settings;
    this.#context = context;
    this.#root = resolve(context.configDir, settings.root ?? '.');
    this.#rules = rulesOf(settings);
  }

  async check(_signal: AbortSignal): Promise<void> {
    const files = await findFiles(this.#root, this.#rules);
    for (const { fault } of files) if (fault) throw fault;
  }

  async lanes(known: readonly KnownLane[], _signal: AbortSignal): Promise<readonly ObservedLane[]> {
    return findLanes(await findFiles(this.#root, this.#rules), known);
  }

  async plan(
    lane: ObservedLane,
    from: Position,
    limits: PlanLimits,
    signal: AbortSignal,
  ): Promise<LanePlan> {
    const memo = parseMemo(lane.memo);
    const head = parsePosition(from);
    if (head.generation !== memo.generation || head.offset !== memo.head) {
      throw new PipelineError('position-corrupt', `lane ${lane.name}: position and note disagree`);
    }
    const file = await findFile(this.#root, this.#rules, memo.path);
    if (file?.fault) throw file.fault;
    if (!file || file.size === 0) return planOf([], withoutUnread(memo));
    if (isUntouched(file, memo) && !memo.rewritten) return planOf([], memo);
    const plan = await this.#planMoving({ file, head, limits, signal, drained: memo });
    return plan ?? planOf([], memo);
  }

  async *read(range: PositionRange, context: ReadContext): AsyncIterable<RecordBlock> {
    try {
      yield* this.#read(range, context);
    } catch (error) {
      throw awaitable(error);
    }
  }

  async *#read(range: PositionRange, context: ReadContext): AsyncIterable<RecordBlock> {
    context.signal.throwIfAborted();
    const memo = parseMemo(context.lane.memo);
    const [from, to] = [parsePosition(range.from), parsePosition(range.to)];
    await using file = await this.#openAgain(memo);
    const labels = this.#labels(context.lane.name, file, memo, to.generation);
    if (memo.format === 'json') yield* this.#readDocument(file, memo, labels);
    else yield* this.#readLines({ file, memo, labels, from, to, signal: context.signal });
  }

  async holds(_range: PositionRange, { lane }: Pick<ReadContext, 'lane'>): Promise<boolean> {
    try {
      await using _file = await this.#openAgain(parseMemo(lane.memo));
      return true;
    } catch (error) {
      if (isPipelineError(error)) return false;
      throw error;
    }
  }

  async noteAt(lane: ObservedLane, position: Position, head: Position): Promise<string> {
    const memo = parseMemo(lane.memo);
    const [at, newest] = [parsePosition(position), parsePosition(head)];
    const file = await findFile(this.#root, this.#rules, memo.path);
    // Of an earlier generation nothing is there any more.
    if (!file || at.generation !== newest.generation) {
      const { path } = memo;
      const { generation, offset } = at;
      return formatMemo({ path, generation, head: offset, prefix: '', tail: '' });
    }
    const { maxDocumentBytes } = this.#settings;
    return formatMemo(await noteAt(file, memo, { ...at, maxDocumentBytes }));
  }

  /** Older generations of a file are gone. */
  async window(lane: KnownLane, asked: AskedWindow): Promise<PositionWindow> {
    const { generation } = parseMemo(lane.memo);
    const start = formatPosition(startOf(generation));
    return { from: start, ...positionWindow(asked, (text) => formatPosition(parsePosition(text))) };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /**
   * What follows in the file, or all of it where it is not what was read so far. Null: it changes,
   * or is deleted, at this very moment.
   */
  async #planMoving(job: PlanJob): Promise<LanePlan | null> {
    const memo = job.drained;
    try {
      const plan = memo.rewritten ? null : await this.#planFile(job, memo);
      return plan ?? (await this.#planFile(job, nextGeneration(memo)));
    } catch (error) {
      if (isPipelineError(error, 'extract-lost')) return null;
      throw error;
    }
  }

  /** Null: the file is not the one of the memo any more. */
  async #planFile(job: PlanJob, memo: FileMemo): Promise<LanePlan | null> {
    const format = memo.format ?? (await formatOf(job.file));
    if (format === 'json') return this.#planDocument(job, memo);
    return this.#planLines(job, { ...memo, format });
  }

  async #planLines(job: PlanJob, memo: LineMemo): Promise<LanePlan | null> {
    const { file, head, limits, signal } = job;
    const start = memo.generation === head.generation ? head : startOf(memo.generation);
    const wait = this.#settlesInMs(file);
    const settled = wait === 0;
    const plan = await planLines({ file, start, from: head, memo, limits, settled, signal });
    if (plan === null) return null;
    const again = plan.openTail ? { lookAgainMs: Math.max(wait, shortWaitMs) } : {};
    // Touched again while there is more to plan, or a tail to wait for.
    const rested = plan.ranges.length < limits.maxRanges && !plan.openTail;
    const stamp = rested ? this.#stamp(file) : { size: -1, mtimeMs: 0, inode: file.inode };
    const { unread } = plan.seen;
    if (plan.ranges.length > 0) return planOf(plan.ranges, { ...plan.seen, ...stamp }, again);
    const kept = withoutUnread(start === head ? { ...memo, ...stamp } : job.drained);
    return planOf([], unread === undefined ? kept : { ...kept, unread }, again);
  }

  /** Any change to a document makes it a new generation: null where it has changed. */
  async #planDocument(job: PlanJob, memo: FileMemo): Promise<LanePlan | null> {
    const { file, head } = job;
    const { bytes, elements } = await readDocument(file, this.#documentRule(file));
    const document = hashBytes(bytes);
    const stamp = this.#stamp(file);
    if (bytes.length === 0) return planOf([], job.drained); // an empty one, compressed
    if (memo.head > 0) {
      if (document !== memo.document) return null;
      return planOf([], { ...memo, ...stamp });
    }
    const wait = this.#settlesInMs(file);
    if (!elements && wait > 0) return planOf([], job.drained, { lookAgainMs: wait });
    const { path, generation } = memo;
    const end = { generation, offset: bytes.length, line: elements?.starts.length ?? 1 };
    const range = { from: formatPosition(head), to: formatPosition(end), bytes: bytes.length };
    const seen = { path, generation, head: bytes.length, format: 'json' as const, document };
    return planOf([range], { ...seen, ...stamp });
  }

  /** By what an unchanged file is known without reading it, once it has rested for a moment. */
  #stamp({ size, mtimeMs, inode }: FoundFile): Pick<FileMemo, 'size' | 'mtimeMs' | 'inode'> {
    if (this.#context.now() - mtimeMs > tickMs) return { size, mtimeMs, inode };
    return { size: -1, mtimeMs: 0, inode };
  }

  /** Milliseconds until the file has rested for long enough; 0: it has. */
  #settlesInMs({ mtimeMs }: FoundFile): number {
    const age = this.#context.now() - mtimeMs;
    if (age < 0) return 0; // a clock ahead of ours must not block the tail for ever
    return Math.max(0, Math.ceil(this.#settings.settleSeconds * 1000 - age));
  }

  /**
   * The file that a range was planned from, under whatever name it has now; open, so that it stays
   * that file while it is read.
   */
  async #openAgain(memo: FileMemo): Promise<OpenFile> {
    if (memo.head === 0) throw lost(memo);
    const first = await findFile(this.#root, this.#rules, memo.path);
    const open = first && (await openIfSame(first, memo));
    if (open) return open;
    for (const file of await findFiles(this.#root, this.#rules)) {
      if (file.path === memo.path || file.fault) continue;
      const renamed = await openIfSame(file, memo).catch((error: unknown) => {
        if (file.inode === memo.inode || isPipelineError(error, 'source-unavailable')) throw error;
        return null; // another file; whether that can be read is no matter here
      });
      if (renamed) return renamed;
    }
    throw lost(memo);
  }

  async *#readDocument(
    file: FoundFile,
    memo: FileMemo,
    labels: BlockLabels,
  ): AsyncIterable<RecordBlock> {
    const document = await readDocument(file, this.#documentRule(file));
    if (hashBytes(document.bytes) !== memo.document) {
      throw lost(memo);
    }
    yield* documentBlocks(document, labels);
  }

  async *#readLines({ file, memo, labels, from, to, signal }: LineJob): AsyncIterable<RecordBlock> {
    const start = from.generation === to.generation ? from : startOf(to.generation);
    const skip = start.offset === 0 ? await this.#skipAtStart(file, memo) : 0;
    const chunks = readContent(file, { from: start.offset, to: to.offset, signal });
    const format = memo.format === 'csv' ? 'csv' : 'ndjson';
    const delimiter = memo.csv?.delimiter;
    const { offset, line } = start;
    yield* readLines(chunks, { labels, format, delimiter, offset, line, skip });
    // Rewritten in place while it was read: what was yielded is not what was planned.
    if (!(await continues(file, memo))) throw lost(memo);
  }

  async #skipAtStart(file: FoundFile, memo: FileMemo): Promise<number> {
    const start = await readAll(file, { to: headerBytes });
    if (memo.format !== 'csv') return bomLength(start);
    const [end] = createLineScanner('csv', memo.csv?.delimiter).ends(start);
    return end ?? start.length;
  }

  #documentRule({ rule }: FoundFile) {
    return { maxBytes: this.#settings.maxDocumentBytes, records: rule.records };
  }

  #labels(lane: string, file: FoundFile, memo: FileMemo, generation: number): BlockLabels {
    // As planned, also where the file was renamed since.
    const stream = file.rule.stream ?? stemOf(memo.path);
    const csv = memo.format === 'csv' && memo.csv ? { csv: memo.csv } : {};
    const kind = memo.format === 'csv' ? ('csv' as const) : ('json' as const);
    return {
      stream,
      context: { format: { kind, ...csv }, fileName: memo.path },
      idPrefix: `${this.#context.name}/${lane}/${formatGeneration(generation)}.`,
      versionPrefix: `${formatGeneration(generation)}.`,
    };
  }
}

type OpenFile = FoundFile & Required<Content> & AsyncDisposable;

/** Null: it is another file, or gone. */
async function openIfSame(file: FoundFile, memo: FileMemo): Promise<OpenFile | null> {
  if (file.fault?.kind === 'invalid-config') return null; // no file at all
  if (file.fault) throw file.fault;
  const handle = await openContent(file.absolute).catch((error: unknown) => {
    if (isPipelineError(error, 'extract-lost')) return null;
    throw error;
  });
  if (handle === null) return null;
  const open = { ...file, handle, [Symbol.asyncDispose]: () => handle.close() };
  try {
    if (await continues(open, memo)) return open;
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}

/** What cannot be read now is not gone: the range is read again, until it can be. */
function awaitable(error: unknown): unknown {
  if (!isPipelineError(error, 'file-unreadable')) return error;
  return new PipelineError('source-unavailable', error.message, { cause: error });
}

function lost({ path }: FileMemo): PipelineError {
  return new PipelineError(
    'extract-lost',
    `${path} was removed or rewritten before this range was read`,
  );
}

type LineMemo = FileMemo & { readonly format: 'ndjson' | 'csv' };

interface PlanJob {
  readonly file: FoundFile;
  readonly head: FilePosition;
  readonly limits: PlanLimits;
  readonly signal: AbortSignal;
  /** The memo to keep when nothing is planned. */
  readonly drained: FileMemo;
}

interface LineJob {
  readonly file: FoundFile;
  readonly memo: FileMemo;
  readonly labels: BlockLabels;
  readonly from: FilePosition;
  readonly to: FilePosition;
  readonly signal: AbortSignal;
}

function planOf(
  ranges: readonly PositionRange[],
  memo: FileMemo,
  again: Pick<LanePlan, 'lookAgainMs'> = {},
): LanePlan {
  const plan = { ranges, memo: formatMemo(memo), ...again };
  const { unread: bytes, path } = memo;
  if (bytes === undefined) return plan;
  const message = `${bytes} bytes at the end of ${path} are no complete record yet`;
  return { ...plan, unread: { bytes, message } };
}

function withoutUnread({ unread: _unread, ...memo }: FileMemo): FileMemo {
  return memo;
}

function startOf(generation: number): FilePosition {
  return { generation, offset: 0, line: 0 };
}

function nextGeneration({ path, generation }: FileMemo): FileMemo {
  return { path, generation: generation + 1, head: 0 };
}
