import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoOptions } from '../local/demo.ts';
import type { TableAnswer } from '../server/contract/runs.ts';
import type { Api } from './api.ts';

const longestMs = 30_000;
const pauseMs = 200;

/** Waits a moment for the first events of the demo, so that people see their tables. */
export async function waitForDemo(api: Api, { events, minutes }: DemoOptions): Promise<void> {
  if (events === undefined || minutes === 0) return;
  const deadline = Date.now() + longestMs;
  while (Date.now() < deadline) {
    const tables = await api.get<TableAnswer[]>('tables');
    if (tables.some(({ source }) => source === events)) return;
    await sleep(pauseMs);
  }
}
