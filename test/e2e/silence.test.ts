import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';

/** Values of rows, in every way in which an event can go: each must stay out of sight (G14). */
const values = [
  'goodvalueqzx',
  'mismatchqzx',
  'refusedqzx',
  'brokenqzx',
  'vanishedqzx',
  'postedqzx',
  'unparsedqzx',
  'deepqzx',
  'queryqzx',
];

const config = `
destinations: { warehouse: { type: postgres } }
sources:
  files: { type: file, root: data, path: '*.ndjson', settleSeconds: 0 }
  app: { type: http, queryToken: true }
pipelines:
  files: { source: files, destinations: [warehouse] }
  app: { source: app, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
});
afterAll(() => instance[Symbol.asyncDispose]());

test('values of rows and secrets appear in no log, no message, no workflow history', async () => {
  const said: string[] = [];
  const verb = async (...args: string[]) => {
    const { stdout, stderr } = await instance.cli(...args);
    said.push(stdout, stderr);
  };
  await instance.write(
    'data/orders.ndjson',
    `{"id":1,"note":"goodvalueqzx","gone":"vanishedqzx"}\n`,
  );
  await verb('sync');
  await instance.warehouse(`ALTER TABLE files.orders ADD CHECK (note <> 'refusedqzx')`);
  await instance.warehouse('ALTER TABLE files.orders DROP COLUMN gone');
  await instance.write(
    'data/orders.ndjson',
    `{"id":1,"note":"goodvalueqzx","gone":"vanishedqzx"}
{"id":2,"note":"refusedqzx","gone":"vanishedqzx"}
{"id":"mismatchqzx","note":"x"}
{"id":3,"note":"brokenqzx
{"id":4,"note":"fine"}
`,
  );
  await verb('sync');
  const groups = await instance.json<{ groupId: string; kind: string }[]>(['failed', 'list']);
  expect(groups.map(({ kind }) => kind).sort()).toEqual([
    'destination-rejected',
    'invalid-json',
    'type-mismatch',
  ]);
  for (const { groupId } of groups) {
    await verb('failed', 'show', groupId);
    await verb('failed', 'retry', groupId);
  }
  said.push(...(await postEveryWay()));
  await verb('sync');
  await verb('source', 'token', 'list', 'app');
  await verb('runs', 'list');
  await verb('status');
  await verb('mapping', 'show', 'files', 'orders');

  const secrets = await readSecrets();
  const places = { ...(await readPlaces()), 'what the verbs said': said.join('\n') };
  const found = Object.entries(places).flatMap(([place, content]) => [
    ...values.filter((value) => content.includes(value)).map((value) => `${value} in ${place}`),
    ...secrets.filter((secret) => content.includes(secret)).map(() => `a secret in ${place}`),
  ]);
  expect(found).toEqual([]);
  const history = Object.entries(places).find(([place]) => place.startsWith('temporal/'))?.[1];
  expect(history).toContain('type-mismatch'); // the histories were really looked at
});

/** Answers what the server said. */
async function postEveryWay(): Promise<string[]> {
  const bodies = [
    '{"id": 1, "note": "postedqzx"}',
    '{"id": 1, "note": "postedqzx", "note": "postedqzx"}',
    '{"id": 2, "note": "unparsedqzx',
    `{"id": 3, "deepqzx": ${'['.repeat(200)}${']'.repeat(200)}}`,
    '{"id": "postedqzx"}',
    '{"_metadata": {"@uuid": "\\u0000postedqzx"}}',
  ];
  const headers = { 'idempotency-key': 'key' };
  const replies = await Promise.all(
    bodies.map((body, at) => postEvents(instance, { body, headers: at < 2 ? headers : {} })),
  );
  const query = new URLSearchParams({ token: instance.urls.tokens['app'] ?? '', note: 'queryqzx' });
  const url = `${instance.urls.console}/v1/events`;
  const seen = await fetch(`${url}/app?${query.toString()}`);
  const unseen = await fetch(`${url}/nothing?${query.toString()}`);
  expect([seen.status, unseen.status]).toEqual([202, 401]);
  const texts = [await seen.text(), await unseen.text()];
  return [...replies.map(({ body }) => JSON.stringify(body)), ...texts];
}

async function readSecrets(): Promise<string[]> {
  const { home, warehouseUrl } = instance.urls;
  const files = ['admin-token', 'secret.key'].map((name) => readFile(join(home, name), 'utf8'));
  const kept = (await Promise.all(files)).map((text) => text.trim());
  return [...kept, new URL(warehouseUrl).password, ...Object.values(instance.urls.tokens)];
}

/** Logs and Temporal's database with its write-ahead log, as text. */
async function readPlaces(): Promise<Record<string, string>> {
  const places: Record<string, string> = {};
  for (const folder of ['logs', 'temporal']) {
    for (const name of await readdir(join(instance.urls.home, folder))) {
      const path = join(instance.urls.home, folder, name);
      places[`${folder}/${name}`] = (await readFile(path)).toString('latin1');
    }
  }
  return places;
}
