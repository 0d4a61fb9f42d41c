import { constants as files, open, type FileHandle } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { constants, createGunzip } from 'node:zlib';
import { must, PipelineError } from '../../core/errors.ts';

const chunkBytes = 1024 * 1024;

/** A file by its path or, where it is open, by its handle: that is the same file under any name. */
export interface Content {
  readonly absolute: string;
  readonly handle?: FileHandle;
}

export interface ContentRange {
  readonly from?: number;
  /** Exclusive; default: the end of the file. */
  readonly to?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a file in chunks; of a `.gz` file its content, offsets count there. */
export async function* readContent(
  content: Content,
  { from = 0, to = Number.POSITIVE_INFINITY, signal }: ContentRange,
): AsyncIterable<Uint8Array> {
  if (to <= from) return;
  const { absolute } = content;
  try {
    const chunks = isGzip(absolute) ? gunzip(content, from, to) : readPlain(content, from, to);
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    throw toSourceError(error, absolute);
  }
}

export function isGzip(path: string): boolean {
  return /\.gz$/i.test(path);
}

/** All bytes of a range, at most so many as the range says. */
export async function readAll(content: Content, range: ContentRange): Promise<Uint8Array> {
  if (!isGzip(content.absolute)) return readAtOnce(content, range);
  const chunks: Uint8Array[] = [];
  for await (const chunk of readContent(content, range)) chunks.push(chunk);
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

/** Into memory of the right size: documents are large. */
async function readAtOnce(
  { absolute, handle }: Content,
  { from = 0, to = Number.POSITIVE_INFINITY }: ContentRange,
): Promise<Uint8Array> {
  await using opened = handle === undefined ? await openContent(absolute) : undefined;
  const file = must(handle ?? opened, 'the open file');
  try {
    const { size } = await file.stat();
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(size, to) - from));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, from + length);
      if (bytesRead === 0) break; // it shrank meanwhile
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } catch (error) {
    throw toSourceError(error, absolute);
  }
}

/** @throws PipelineError `extract-lost` when it is gone, `file-unreadable` */
export async function openContent(absolute: string): Promise<FileHandle> {
  try {
    return await openFile(absolute);
  } catch (error) {
    throw toSourceError(error, absolute);
  }
}

async function* readPlain(
  { absolute, handle }: Content,
  from: number,
  to: number,
): AsyncIterable<Uint8Array> {
  await using opened = handle === undefined ? await openFile(absolute) : undefined;
  const file = must(handle ?? opened, 'the open file');
  for (let at = from; at < to;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, to - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function* gunzip(content: Content, from: number, to: number): AsyncIterable<Uint8Array> {
  const zipped = Readable.from(readPlain(content, 0, Number.POSITIVE_INFINITY), {
    objectMode: false,
  });
  // Where it is still being written, what is there so far counts, the rest comes later.
  const unzipped = createGunzip({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH });
  pipeline(zipped, unzipped, () => undefined); // faults come out of `unzipped`; its end closes both
  let at = 0;
  for await (const chunk of unzipped as AsyncIterable<Buffer>) {
    const [start, end] = [Math.max(0, from - at), Math.min(chunk.length, to - at)];
    if (end > start) yield chunk.subarray(start, end);
    at += chunk.length;
    if (at >= to) return;
  }
}

/** @throws what `open` does; never waits for a pipe that took the place of a file. */
function openFile(absolute: string): Promise<FileHandle> {
  return open(absolute, files.O_RDONLY | files.O_NONBLOCK);
}

export function toSourceError(error: unknown, absolute: string): unknown {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  if (code.startsWith('Z_')) {
    return new PipelineError('file-unreadable', `${absolute} is not sound gzip: write it again`, {
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EIO' || code === 'EISDIR') {
    return new PipelineError('file-unreadable', `${absolute} cannot be read (${code})`, {
      cause: error,
    });
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new PipelineError('extract-lost', `${absolute} is gone`, { cause: error });
  }
  if (syscall === undefined) return error;
  return new PipelineError('source-unavailable', `${absolute} cannot be read now (${code})`, {
    cause: error,
  });
}
