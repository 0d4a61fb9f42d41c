import { appendFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { connectTemporal, type TemporalHand } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';

const config = (schedules: { readonly shop?: string; readonly rest?: string | null }) => `
destinations:
  warehouse: { type: postgres }
sources:
  shop: { type: file, settleSeconds: 0, streams: { orders: { path: orders.ndjson } } }
  rest: { type: file, settleSeconds: 0, path: rest.ndjson }
pipelines:
  shop: { source: shop, destinations: [warehouse]${schedules.shop ? `, schedule: ${schedules.shop}` : ''} }
${schedules.rest === undefined ? '' : `  rest: { source: rest, destinations: [warehouse]${schedules.rest ? `, schedule: ${schedules.rest}` : ''} }`}
`;

const intervalMs = 2_000;
/** Ten times the interval and 5 s: the figure itself is the bench's. */
const deadlineMs = 10 * (intervalMs + 5_000);

let instance: TestInstance;
let hand: TemporalHand;
beforeAll(async () => {
  instance = await startInstance({ config: config({ shop: 'every 2s', rest: 'every 1h' }) });
  hand = await connectTemporal(instance);
}, 120_000);
afterAll(async () => {
  await hand?.[Symbol.asyncDispose]();
  await instance?.[Symbol.asyncDispose]();
});

const describeSchedule = (source: string) =>
  hand.client.schedule.getHandle(`sync/${source}`).describe();

const applyWith = async (schedules: Parameters<typeof config>[0]) => {
  await instance.write('millrace.yaml', config(schedules));
  await instance.json(['apply']);
};

describe('a schedule of millrace.yaml', () => {
  test('brings changes in by itself within its interval and a moment', async () => {
    for (let n = 1; n <= 3; n += 1) {
      const line = `{"id":${n}}\n`;
      if (n === 1) await instance.write('orders.ndjson', line);
      else await appendFile(`${instance.directory}/orders.ndjson`, line);
      await until(
        `order ${n}`,
        async () => {
          const rows = await instance.warehouse('SELECT FROM shop.orders WHERE id = $1', [n]);
          return rows.length === 1;
        },
        deadlineMs,
      );
    }
  });

  test('is one of Temporal, which says what it is for; so does every run of it', async () => {
    const { policies, state, spec, action } = await describeSchedule('shop');
    expect(policies.overlap).toBe('SKIP');
    expect(policies.catchupWindow).toBe(60_000);
    expect(spec.intervals).toMatchObject([{ every: intervalMs }]);
    expect(state).toMatchObject({ paused: false });
    expect(state.note).toMatch(/^pipeline shop, every 2s into warehouse: .*millrace pause shop/);
    expect(action.staticSummary).toBe('sync shop into warehouse, every 2s (pipeline shop)');
    const query = `TemporalScheduledById = 'sync/shop' AND ExecutionStatus = 'Completed'`;
    const [run] = await until('a run that ended', async () => {
      const runs = await Array.fromAsync(hand.client.workflow.list({ query }));
      return runs.length > 0 && runs;
    });
    const described = await hand.client.workflow.getHandle(run?.workflowId ?? '').describe();
    expect(await described.staticSummary()).toBe(action.staticSummary);
    expect(await described.staticDetails()).toMatch(/millrace pause shop/);
    expect(described.searchAttributes['MillraceSource']).toEqual(['shop']);
    expect(described.memo?.['result']).toMatch(/^\*\*shop\*\* · /);
  });

  test('follows its interval when that changes', async () => {
    await applyWith({ shop: 'every 90m', rest: 'every 1h' });
    const { spec, action, state } = await describeSchedule('shop');
    expect(spec.intervals).toMatchObject([{ every: 90 * 60_000 }]);
    expect(action.staticSummary).toBe('sync shop into warehouse, every 90m (pipeline shop)');
    expect(state.note).toMatch(/every 90m/);
  });

  test('that was changed or deleted by hand is set back by the server', async () => {
    const shop = hand.client.schedule.getHandle('sync/shop');
    await shop.pause('by hand');
    await hand.client.schedule.getHandle('sync/rest').delete();
    await until('both as they were', async () => {
      const names = await hand.schedules();
      return names.includes('sync/rest') && !(await shop.describe()).state.paused;
    });
    expect((await shop.describe()).state.note).toMatch(/every 90m/);
  });

  test('goes with its line in millrace.yaml, and with its pipeline', async () => {
    expect(await hand.schedules()).toEqual(['maintain', 'sync/rest', 'sync/shop']);
    await applyWith({ rest: 'every 1h' });
    await until('one less', async () => !(await hand.schedules()).includes('sync/shop'));
    await applyWith({});
    await until('none', async () => (await hand.schedules()).length === 1);
    expect(await hand.schedules()).toEqual(['maintain']);
  });
});
