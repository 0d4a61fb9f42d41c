import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedDestinations } from '../../../config/embedded-destinations.ts';
import { loadConfiguration, validateConfiguration } from '../../../config/load-configuration.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-configuration-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(yaml: string, env: NodeJS.ProcessEnv = {}) {
  const file = join(folder, 'millrace.yaml');
  await writeFile(file, yaml);
  return loadConfiguration(file, env);
}

/** The lines of the message, without the path of the file. */
async function complaints(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<readonly string[]> {
  const error: unknown = await load(yaml, env).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'PipelineError', kind: 'invalid-config' });
  return (error as Error).message.split('\n').map((line) => line.replace(/^.*millrace\.yaml:/, ''));
}

const small = `
destinations:
  warehouse: { type: postgres }
sources:
  files: { type: file, path: 'data/*.ndjson' }
pipelines:
  files: { source: files, destinations: [warehouse] }
`;

describe('a configuration', () => {
  test('is read with the folder that its paths begin in', async () => {
    const { configuration, configDir } = await load(small);
    expect(configDir).toBe(folder);
    expect(configuration).toEqual({
      destinations: { warehouse: { type: 'postgres' } },
      sources: { files: { type: 'file', path: 'data/*.ndjson' } },
      pipelines: { files: { source: 'files', destinations: ['warehouse'] } },
    });
  });

  test('may be empty', async () => {
    const empty = { destinations: {}, sources: {}, pipelines: {} };
    expect((await load('')).configuration).toEqual(empty);
  });

  test.each([
    ['every 5s', 5_000],
    ['every 1m', 60_000],
    ['every 2h', 7_200_000],
  ])('takes the schedule "%s"', async (schedule, everyMs) => {
    const { configuration } = await load(
      small.replace('[warehouse] }', `[warehouse], schedule: ${schedule}, write: append }`),
    );
    expect(configuration.pipelines['files']).toEqual({
      source: 'files',
      destinations: ['warehouse'],
      everyMs,
      write: 'append',
    });
  });

  test('takes how single streams are written', async () => {
    const streams = '{ a: { key: id, version: at }, b: { write: append }, c: { key: [x, y] } }';
    const { configuration } = await load(
      small.replace('[warehouse] }', `[warehouse], streams: ${streams} }`),
    );
    expect(configuration.pipelines['files']?.streams).toEqual({
      a: { key: ['id'], version: 'at' },
      b: { write: 'append' },
      c: { key: ['x', 'y'] },
    });
  });

  test('takes no key that names a field twice', async () => {
    const streams = '{ a: { key: [id, id] } }';
    const text = small.replace('[warehouse] }', `[warehouse], streams: ${streams} }`);
    await expect(load(text)).rejects.toThrow('names a field twice');
  });

  test('passes the same checks again where it arrives, and means the same', async () => {
    const { document, configuration } = await load(small);
    const travelled: unknown = JSON.parse(JSON.stringify(document));
    expect(await validateConfiguration(travelled)).toEqual(configuration);
  });

  test('says which destinations live in the embedded server', async () => {
    const { configuration } = await load(
      `destinations: { own: { type: postgres }, far: { type: postgres, url: postgres://db/x } }`,
    );
    expect(await embeddedDestinations(configuration)).toEqual(['own']);
  });
});

describe('values of a configuration', () => {
  const withUrl = (url: string) => `destinations:\n  far: { type: postgres, url: '${url}' }\n`;
  const urlOf = async (url: string, env: NodeJS.ProcessEnv = {}) =>
    (await load(withUrl(url), env)).configuration.destinations['far']?.['url'];

  test('come from the environment', async () => {
    expect(await urlOf('${URL}', { URL: 'postgres://a/b' })).toBe('postgres://a/b');
    expect(await urlOf('postgres://${HOST:-near}/b')).toBe('postgres://near/b');
    expect(await urlOf('postgres://${HOST:-near}/b', { HOST: 'far' })).toBe('postgres://far/b');
  });

  test('come from a file, without its line end', async () => {
    await writeFile(join(folder, 'url.txt'), 'postgres://from/file\n');
    expect(await urlOf('file:url.txt')).toBe('postgres://from/file');
  });

  test('are read from a file only where they are secrets', async () => {
    const { configuration } = await load(small.replace("'data/*.ndjson'", 'file:url.txt'));
    expect(configuration.sources['files']?.['path']).toBe('file:url.txt');
  });

  test('that are missing are named, with their line', async () => {
    const lines = await complaints(withUrl('${NOWHERE}'));
    expect(lines[0]).toMatch(/^2:26: destinations\.far: the environment has no NOWHERE/);
    expect((await complaints(withUrl('file:none.txt')))[0]).toContain(
      'the file none.txt cannot be',
    );
  });

  test('never stand in a message', async () => {
    const lines = await complaints(withUrl('${URL}'), { URL: 'hunter2' });
    expect(lines.join('\n')).toMatch(/must begin with postgres/);
    expect(lines.join('\n')).not.toContain('hunter2');
  });
});

describe('a wrong configuration', () => {
  test('is told its mistyped settings, with place and suggestion', async () => {
    const yaml = small.replace('path:', 'pth:').replace('pipelines:', 'piplines:');
    const top = await complaints(yaml);
    expect(top).toEqual(['6:1: unknown setting piplines: did you mean pipelines?']);
    const inside = await complaints(small.replace("path: 'data/*.ndjson'", 'path: x, recrds: y'));
    expect(inside).toEqual(['5:33: sources.files: unknown setting recrds: did you mean records?']);
  });

  test('is told everything at once', async () => {
    const lines = await complaints(`
destinations:
  warehouse: { type: postgress }
sources:
  files: { type: file }
pipelines:
  files: { source: filez, destinations: [warehose, warehose] }
`);
    expect(lines).toEqual([
      '5:3: sources: needs path: (one stream per file) or streams: (one per pattern)',
      '3:16: destinations.warehouse: there is no destination type "postgress": choose from postgres',
      '7:12: pipelines.files: there is no source filez: did you mean files?',
      '7:42: pipelines.files.destinations: there is no destination warehose: did you mean warehouse?',
      '7:52: pipelines.files.destinations: there is no destination warehose: did you mean warehouse?',
      '7:27: pipelines.files: a destination stands here twice',
    ]);
  });

  test('may not use one source in two pipelines', async () => {
    const lines = await complaints(
      `${small}  more: { source: files, destinations: [warehouse] }\n`,
    );
    expect(lines).toEqual([
      '8:11: pipelines.more: source files belongs to pipeline files already: one source, one pipeline',
    ]);
  });

  test('may not name two destinations in one place, however they are written', async () => {
    const lines = await complaints(`
destinations:
  one: { type: postgres, url: 'postgres://a:b@db/x' }
  two: { type: postgres, url: 'postgres://c:d@db:5432/x' }
`);
    expect(lines).toEqual([
      '4:3: destinations: is in one database with destination one: give each its own',
    ]);
  });

  test('may hold several destinations in the embedded server', async () => {
    const { configuration } = await load(
      'destinations: { a: { type: postgres }, b: { type: postgres } }',
    );
    expect(Object.keys(configuration.destinations)).toEqual(['a', 'b']);
  });

  test('names the sources of the demo; only its database may leave open where it is', async () => {
    const tables = "tables: 'public.*'";
    const sources = `sources: { app: { type: http }, shop: { type: postgres, ${tables} } }\n`;
    const demo = 'demo: { events: app, database: shop }\n';
    const { configuration } = await load(sources + demo);
    expect(configuration.demo).toEqual({ events: 'app', database: 'shop' });
    expect(await complaints(sources)).toEqual([
      '1:33: sources: source shop needs a url: where its database is',
    ]);
    expect(await complaints(`${sources}demo: { events: shop, database: app }\n`)).toEqual([
      '2:9: demo: nothing can be posted to source shop: its type has to be http',
      '2:23: demo: source app has to be of type postgres, without a url',
      '1:33: sources: source shop needs a url: where its database is',
    ]);
    expect(
      await complaints(`${sources}${demo}destinations: { shop: { type: postgres } }\n`),
    ).toEqual(['3:17: destinations: would be in one database with the source of that name']);
    expect(await complaints('demo: { evens: app, database: shp }\n')).toEqual([
      '1:9: demo: unknown setting evens: did you mean events?',
    ]);
  });

  test('may not give two sources one schema', async () => {
    const lines = await complaints(
      'sources:\n  a-b: { type: file, path: x }\n  a_b: { type: file, path: y }\n',
    );
    expect(lines).toEqual(['3:3: sources: is too like source a-b: their tables would meet']);
  });

  test.each(['Files', '1files', 'fi les', 'f'.repeat(64), '_files'])(
    'refuses the name %s',
    async (name) => {
      const lines = await complaints(`sources:\n  '${name}': { type: file, path: x }\n`);
      expect(lines[0]).toMatch(/^2:3: sources: the name must begin with a-z/);
    },
  );

  test('takes a name of 63 characters', async () => {
    const name = 'f'.repeat(63);
    const { configuration } = await load(`sources:\n  ${name}: { type: file, path: x }\n`);
    expect(Object.keys(configuration.sources)).toEqual([name]);
  });

  test.each(['every 0s', 'every 1.5m', '5s', 'every 5 s', 'hourly'])(
    'refuses the schedule "%s"',
    async (text) => {
      const lines = await complaints(
        small.replace('[warehouse] }', `[warehouse], schedule: '${text}' }`),
      );
      expect(lines[0]).toMatch(/^7:54: pipelines\.files: must be like "every 5s"/);
    },
  );

  test.each(['restream', 'backfill', 'replace'])(
    'is told that a source cannot be called %s',
    async (name) => {
      const lines = await complaints(small.replaceAll('files', name));
      expect(lines[0]).toContain('is a name that batches use');
    },
  );

  test('hears which write modes there are', async () => {
    const lines = await complaints(small.replace('[warehouse] }', '[warehouse], write: upsert }'));
    expect(lines[0]).toContain('must be append, merge or replace');
  });

  test('is told where its YAML breaks', async () => {
    const lines = await complaints('sources:\n  files: { type: file\n');
    expect(lines[0]).toMatch(/^3:1: /);
    expect((await complaints('a: 1\na: 2\n'))[0]).toMatch(/^2:1: /);
  });

  test('cannot multiply its aliases without end', async () => {
    const levels = Array.from({ length: 9 }, (_, at) => {
      const list = Array.from({ length: 9 }, () => `*a${at}`).join(', ');
      return `a${at + 1}: &a${at + 1} [${list}]`;
    });
    const lines = await complaints(['a0: &a0 x', ...levels].join('\n'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('aliases');
  });

  test('has to be there', async () => {
    await expect(loadConfiguration(join(folder, 'none.yaml'), {})).rejects.toMatchObject({
      kind: 'invalid-config',
      message: expect.stringContaining('cannot be read'),
    });
  });

  test('is refused over HTTP by the path of what is wrong', async () => {
    await expect(validateConfiguration({ sources: { a: { type: 'fle' } } })).rejects.toMatchObject({
      kind: 'invalid-config',
      message: 'sources.a.type: there is no source type "fle": choose from file, http, postgres',
    });
    await expect(validateConfiguration('text')).rejects.toMatchObject({ kind: 'invalid-config' });
  });
});
