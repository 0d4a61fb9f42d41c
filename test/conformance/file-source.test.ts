import { appendFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileSource } from '../../connectors/file/index.ts';
import { FileSource } from '../../connectors/file/source.ts';
import { testSource, type SourceFixture } from './source-suite.ts';

interface FileKind {
  readonly extension: string;
  /** Bytes that the records `from`..`to` add to a file; a new one begins at 0, or may have a head. */
  encode(from: number, to: number, isNew: boolean): Uint8Array;
  numberOf(record: string): number;
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => from + at);
const json = (n: number) => JSON.stringify({ n, text: `record ${n}` });
const jsonNumber = (record: string) => (JSON.parse(record) as { n: number }).n;
const lines = (texts: readonly string[]) => Buffer.from(texts.map((text) => `${text}\n`).join(''));

const ndjson: FileKind = {
  extension: 'ndjson',
  encode: (from, to) => lines(numbers(from, to).map(json)),
  numberOf: jsonNumber,
};
/** Every other record has a newline inside its quotes: cuts must not fall there. */
const csv: FileKind = {
  extension: 'csv',
  encode(from, to, isNew) {
    const rows = numbers(from, to).map((n) => `${n},"line ""one"" of ${n}${n % 2 ? '\n' : ''},"`);
    return lines(isNew ? ['n,text', ...rows] : rows);
  },
  numberOf: (record) => Number.parseInt(record, 10),
};
const document: FileKind = {
  extension: 'json',
  encode: (from, to) => Buffer.from(`[${numbers(from, to).map(json).join(',\n')}]`),
  numberOf: jsonNumber,
};
/** A member of its own for each addition, as `gzip >> file` makes them. */
const gzipped = (kind: FileKind): FileKind => ({
  ...kind,
  extension: `${kind.extension}.gz`,
  encode: (from, to, isNew) => gzipSync(kind.encode(from, to, isNew)),
});

async function setUp(kind: FileKind): Promise<SourceFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-source-'));
  const { extension } = kind;
  const pathOf = (lane: string) => join(folder, `${lane}.${extension}`);
  const settings = fileSource.settings.parse({ path: `*.${extension}`, settleSeconds: 0 });
  const made = new Set<string>();
  return {
    open: () => new FileSource(settings, { name: 'files', configDir: folder, now: Date.now }),
    async add(lane, from, to) {
      await appendFile(pathOf(lane), kind.encode(from, to, !made.has(lane)));
      made.add(lane);
    },
    numberOf: (record) => kind.numberOf(Buffer.from(record).toString()),
    drop: (lane) => rm(pathOf(lane)),
    goAway: () => rename(folder, `${folder}-away`),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
      await rm(`${folder}-away`, { recursive: true, force: true });
    },
  };
}

testSource('NDJSON file', () => setUp(ndjson), { grows: true });
testSource('CSV file', () => setUp(csv), { grows: true });
testSource('JSON document', () => setUp(document), { grows: false });
testSource('gzipped NDJSON file', () => setUp(gzipped(ndjson)), { grows: true });
testSource('gzipped CSV file', () => setUp(gzipped(csv)), { grows: true });
testSource('gzipped JSON document', () => setUp(gzipped(document)), { grows: false });
