import { armFailpoint } from '../../support/failpoints.ts';
import type { TestInstance } from '../../support/instance.ts';
import { until } from '../../support/until.ts';
import type { SabotageName } from './sabotages.ts';
import type { Observer } from './observer.ts';

/**
 * What is done to an instance so that one sabotage shows; answers the violations that plain SQL
 * finds, none in a sound instance. Its source, and so its schema, is named like the sabotage.
 */
type Story = (observer: Observer, instance: TestInstance) => Promise<readonly unknown[]>;

/** Sources that are sent their events; the others read files. */
const sent = new Set<SabotageName>(['acknowledge', 'dedup', 'reconciler']);

/** Of an instance in which these stories can be told. */
export function configurationFor(names: readonly SabotageName[]): string {
  const source = (name: SabotageName) =>
    sent.has(name)
      ? `  ${name}: { type: http }`
      : `  ${name}: { type: file, settleSeconds: 0, streams: { events: { path: '${name}-*.ndjson' } } }`;
  const streams = ', streams: { events: { key: id, version: at } }';
  const pipeline = (name: SabotageName) =>
    `  ${name}: { source: ${name}, destinations: [warehouse]${name === 'merge' ? streams : ''} }`;
  return [
    'destinations: { warehouse: { type: postgres } }',
    'sources:',
    ...names.map(source),
    'pipelines:',
    ...names.map(pipeline),
    '',
  ].join('\n');
}

/** Small batches, short heartbeats, and failpoints that can be armed. */
export const environment = {
  MILLRACE_PATIENCE: '0.05',
  MILLRACE_MAX_BATCH_BYTES: String(16 * 1024),
  MILLRACE_ALLOW_FAULTS: '1',
};

export const stories: Readonly<Record<SabotageName, Story>> = {
  async ledger(observer, { urls: { home } }) {
    await observer.addFile(100);
    await observer.sync();
    const point = await armFailpoint(home, 'commit-unread=exit');
    await observer.addFile(500);
    await observer.sync();
    await point.untilFired();
    return observer.duplicates();
  },

  async fence(observer, instance) {
    await observer.failSome();
    const point = await armFailpoint(instance.urls.home, 'before-commit=delay:5s');
    await observer.retryAll();
    await point.untilFired();
    await instance.json(['backfill', observer.source, '--stream', 'events'], [0, 5]);
    await observer.untilDrained();
    return observer.duplicates();
  },

  async acknowledge(observer, instance) {
    const server = await instance.pidOf('server');
    await observer.post(10);
    process.kill(server, 'SIGKILL');
    await until('another server', async () => (await instance.pidOf('server')) !== server);
    await observer.untilDrained();
    return observer.lost();
  },

  async position(observer) {
    await observer.addFile(100);
    await observer.sync();
    await observer.addFile(4_000);
    await observer.sync();
    return observer.lost();
  },

  async partition(observer, { urls: { home } }) {
    await observer.addFile(100);
    await observer.sync();
    const point = await armFailpoint(home, 'extract-staged=exit');
    await observer.addFile(100, (n) => (n % 10 === 0 ? { n, amount: 'none' } : { n, amount: n }));
    await observer.sync();
    await point.untilFired();
    return observer.loadedAndFailed();
  },

  async merge(observer, instance) {
    const version = (day: number) => ({ id: 1, at: `2026-01-0${day}T00:00:00Z`, day });
    for (const day of [1, 3, 2]) {
      await observer.addFile(1, () => version(day));
      await observer.sync();
    }
    return instance.warehouse('SELECT day FROM merge.events WHERE day < 3');
  },

  async settle(observer, { urls: { home } }) {
    await observer.addFile(100);
    await observer.sync();
    await until('the first rows', async () => (await observer.lost()).length === 0);
    const point = await armFailpoint(home, 'settled=exit');
    await observer.addFile(100);
    await observer.sync();
    await point.untilFired();
    return observer.lost();
  },

  async dedup(observer) {
    const first = await observer.post(10);
    await observer.untilDrained();
    await observer.postAgain(first);
    await observer.untilDrained();
    return observer.duplicates();
  },

  async manifest(observer, { urls: { home } }) {
    const point = await armFailpoint(home, 'extract-staged=exit');
    await observer.addFile(100);
    await observer.sync();
    await point.untilFired();
    return observer.lost();
  },

  async claim(observer) {
    await observer.failSome();
    await observer.retryAll();
    await observer.untilRestreamed();
    return observer.loadedAndFailed();
  },

  async reconciler(observer, instance) {
    await observer.post(1);
    await observer.untilDrained();
    const point = await armFailpoint(instance.urls.home, 'source-acknowledged=exit');
    await observer.post(1);
    await point.untilFired();
    await observer.untilLooksPassed(5);
    return observer.lost();
  },
};
