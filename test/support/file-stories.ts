import { appendFile, copyFile, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** One way in which files change, in a folder and so a table of its own. Records are numbers. */
export interface FileStory {
  readonly name: string;
  /** What the source says of the story's files beside their pattern. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What happens before the first, the second and the third sync. */
  readonly steps: readonly ((folder: Folder) => Promise<unknown>)[];
  /** The numbers in the table at the end, each as often as it stands there. */
  readonly rows: readonly number[];
}

/** The files of a story. */
export class Folder {
  readonly #path: string;
  readonly #label: string;

  /** @param label in every record, so that no two folders hold the same bytes */
  constructor(path: string, label: string) {
    this.#path = path;
    this.#label = label;
  }

  async write(name: string, content: string | Uint8Array): Promise<void> {
    await mkdir(this.#path, { recursive: true });
    await writeFile(this.at(name), content);
  }
  append = (name: string, content: string | Uint8Array) => appendFile(this.at(name), content);
  rename = (from: string, to: string) => rename(this.at(from), this.at(to));
  copy = (from: string, to: string) => copyFile(this.at(from), this.at(to));
  remove = (name: string) => rm(this.at(name));
  touch = (name: string) => utimes(this.at(name), new Date(), new Date());
  at = (name: string) => join(this.#path, name);

  record = (n: number) => JSON.stringify({ of: this.#label, n });
  lines = (...numbers: readonly number[]) => numbers.map((n) => `${this.record(n)}\n`).join('');
  list = (...numbers: readonly number[]) => `[${numbers.map(this.record).join(',')}]`;
}

export const fileStories: readonly FileStory[] = [
  {
    name: 'a file that sorts before those already read',
    steps: [(f) => f.write('m.ndjson', f.lines(1, 2)), (f) => f.write('a.ndjson', f.lines(3))],
    rows: [1, 2, 3],
  },
  {
    name: 'a file that grows, and grows again',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2)),
      (f) => f.append('a.ndjson', f.lines(3)),
      (f) => f.append('a.ndjson', f.lines(4, 5)),
    ],
    rows: [1, 2, 3, 4, 5],
  },
  {
    name: 'a file that is renamed, then grows',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2)),
      (f) => f.rename('a.ndjson', 'z.ndjson'),
      (f) => f.append('z.ndjson', f.lines(3)),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a file that is renamed and grows before anybody looks',
    steps: [
      (f) => f.write('m.ndjson', f.lines(1, 2)),
      async (f) => {
        await f.rename('m.ndjson', 'a.ndjson');
        await f.append('a.ndjson', f.lines(3));
      },
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'two files that change places',
    steps: [
      async (f) => {
        await f.write('a.ndjson', f.lines(1, 2));
        await f.write('b.ndjson', f.lines(1, 2, 3, 4)); // begins like the other one
      },
      async (f) => {
        await f.rename('a.ndjson', 'c.ndjson');
        await f.rename('b.ndjson', 'a.ndjson');
        await f.rename('c.ndjson', 'b.ndjson');
      },
      (f) => f.append('b.ndjson', f.lines(5)),
    ],
    rows: [1, 1, 2, 2, 3, 4, 5],
  },
  {
    name: 'logs that rotate: each takes the name of the next, a new one the first',
    steps: [
      async (f) => {
        await f.write('log.ndjson', f.lines(1, 2));
        await f.write('log-1.ndjson', f.lines(3, 4));
      },
      async (f) => {
        await f.rename('log-1.ndjson', 'log-2.ndjson');
        await f.rename('log.ndjson', 'log-1.ndjson');
        await f.write('log.ndjson', f.lines(5));
      },
    ],
    rows: [1, 2, 3, 4, 5],
  },
  {
    name: 'a file that is moved onto one that was empty',
    steps: [
      async (f) => {
        await f.write('a.ndjson', '');
        await f.write('b.ndjson', f.lines(1, 2));
      },
      (f) => f.rename('b.ndjson', 'a.ndjson'),
      (f) => f.append('a.ndjson', f.lines(3)),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a table of rows that is moved onto one with nothing but the same header',
    steps: [
      async (f) => {
        await f.write('a.csv', 'n,text\n');
        await f.write('b.csv', 'n,text\n1,one\n2,two\n');
      },
      (f) => f.rename('b.csv', 'a.csv'),
    ],
    rows: [1, 2],
  },
  {
    name: 'a file that is copied beside itself: another file, whose rows are its own',
    steps: [
      (f) => f.write('m.ndjson', f.lines(1, 2)),
      (f) => f.copy('m.ndjson', 'a.ndjson'),
      (f) => f.append('m.ndjson', f.lines(3)),
    ],
    rows: [1, 1, 2, 2, 3],
  },
  {
    name: 'a last line that is half written, then completed',
    steps: [
      (f) => f.write('a.ndjson', `${f.lines(1)}${f.record(2).slice(0, -3)}`),
      (f) => f.append('a.ndjson', `${f.record(2).slice(-3)}\n${f.lines(3)}`),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a last line that lacks only its newline, which comes later',
    steps: [
      (f) => f.write('a.ndjson', `${f.lines(1)}${f.record(2)}`),
      (f) => f.append('a.ndjson', `\n${f.lines(3)}`),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a last line that was read and is written anew in another way: a new generation',
    steps: [
      (f) => f.write('a.ndjson', `${f.lines(1)}${f.record(2)}`),
      (f) => f.write('a.ndjson', f.lines(1, 25)),
    ],
    rows: [1, 1, 2, 25],
  },
  {
    name: 'a file that is cut to its first rows: a new generation',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2, 3)),
      (f) => f.write('a.ndjson', f.lines(1, 2)),
    ],
    rows: [1, 1, 2, 2, 3],
  },
  {
    name: 'a file that is rewritten at the same size: a new generation',
    steps: [(f) => f.write('a.ndjson', f.lines(1, 2)), (f) => f.write('a.ndjson', f.lines(3, 4))],
    rows: [1, 2, 3, 4],
  },
  {
    name: 'a file whose beginning changes while it grows: a new generation',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2)),
      (f) => f.write('a.ndjson', f.lines(9, 2, 3)),
    ],
    rows: [1, 2, 2, 3, 9],
  },
  {
    name: 'a file that is emptied, and written anew: a new generation, also with the same rows',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2)),
      (f) => f.write('a.ndjson', ''),
      (f) => f.write('a.ndjson', f.lines(1, 2)),
    ],
    rows: [1, 1, 2, 2],
  },
  {
    name: 'a file that is deleted and comes back as it was, with more',
    steps: [
      (f) => f.write('a.ndjson', f.lines(1, 2)),
      (f) => f.rename('a.ndjson', '../away'),
      async (f) => {
        await f.rename('../away', 'a.ndjson');
        await f.append('a.ndjson', f.lines(3));
      },
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a compressed file that grows by another member',
    steps: [
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(1, 2))),
      (f) => f.append('a.ndjson.gz', gzipSync(f.lines(3))),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a compressed file that is half copied, then whole',
    steps: [
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(1, 2, 3)).subarray(0, 15)),
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(1, 2, 3))),
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a compressed file that is replaced: packed anew nothing new, with other rows a generation',
    steps: [
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(1, 2), { level: 9 })),
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(1, 2), { level: 0 })),
      (f) => f.write('a.ndjson.gz', gzipSync(f.lines(3, 4))),
    ],
    rows: [1, 2, 3, 4],
  },
  {
    name: 'a CSV header without rows, which come later',
    steps: [
      (f) => f.write('a.csv', 'n,text\n'),
      (f) => f.append('a.csv', '1,"one\nmore"\n2,two\n'),
    ],
    rows: [1, 2],
  },
  {
    name: 'a CSV header that is half written',
    steps: [(f) => f.write('a.csv', 'n,rema'), (f) => f.append('a.csv', 'rk\n1,one\n')],
    rows: [1],
  },
  {
    name: 'a JSON document that is touched, but does not change',
    steps: [(f) => f.write('a.json', f.list(1, 2)), (f) => f.touch('a.json')],
    rows: [1, 2],
  },
  {
    name: 'a JSON document that changes at all: a new generation',
    steps: [(f) => f.write('a.json', f.list(1, 2)), (f) => f.write('a.json', f.list(1, 2, 3))],
    rows: [1, 1, 2, 2, 3],
  },
  {
    name: 'a JSON document that is renamed',
    steps: [(f) => f.write('m.json', f.list(1, 2)), (f) => f.rename('m.json', 'a.json')],
    rows: [1, 2],
  },
  {
    name: 'JSON documents: an array is its elements, an object one record',
    steps: [
      async (f) => {
        await f.write('array.json', f.list(1, 2));
        await f.write('object.json', `{\n "of": "object", "n": 3\n}\n`);
      },
    ],
    rows: [1, 2, 3],
  },
  {
    name: 'a JSON document with its records in an array inside',
    settings: { records: 'features' },
    steps: [(f) => f.write('a.json', `{"kind":"list","features":${f.list(1, 2)},"n":9}`)],
    rows: [1, 2],
  },
];
