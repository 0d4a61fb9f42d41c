import type { DemoSettings } from '../core/configuration.ts';
import type { DemoOptions } from '../local/demo.ts';
import type { ConfigurationAnswer } from '../server/contract/configuration.ts';
import type { GroupAnswer } from '../server/contract/failed.ts';
import type { TableAnswer } from '../server/contract/runs.ts';
import type { Api } from './api.ts';
import { printTable } from './print-table.ts';
import { print } from './print.ts';
import { printTokens } from './print-tokens.ts';

/** The short block that `up` ends with: what runs, where, what filled, what to try next. */
export async function printReadyBlock(
  api: Api,
  tokens: Readonly<Record<string, string>>,
  fed?: DemoOptions,
): Promise<void> {
  const { console: url, temporalUi, temporal, warehouseUrl, demoDatabaseUrl, home, pid } = api.info;
  const tables = await api.get<TableAnswer[]>('tables');
  const groups = await api.get<GroupAnswer[]>('failed/groups');
  print('');
  print(`Millrace is ready (pid ${pid}, home ${home})`);
  print(`  API        ${url}`);
  print(`  Temporal   ${temporalUi ?? temporal}`);
  if (warehouseUrl !== null) print(`  warehouse  ${warehouseUrl}`);
  if (demoDatabaseUrl !== undefined) print(`  demo       ${demoDatabaseUrl}`);
  print('');
  if (tables.length > 0) {
    printTables(tables);
    print('');
  }
  if (Object.keys(tokens).length > 0) {
    printTokens(tokens);
    print('');
  }
  const { demo } = await api.get<ConfigurationAnswer>('configuration');
  if (fed && fed.minutes > 0) {
    print(`The demo ${describeDemo(fed)} for ${fed.minutes} minutes; "demo" goes on with it.`);
    print('');
  }
  printNextSteps(groups, { temporalUi, demo });
}

export function printTables(tables: readonly TableAnswer[]): void {
  printTable(
    ['destination', 'table', 'rows loaded', 'failed events'],
    tables.map(({ destination, schema, table, rowsLoaded, openFailures }) => [
      destination,
      `${schema}.${table}`,
      rowsLoaded,
      openFailures,
    ]),
  );
}

/** What it does, in words. */
function describeDemo({ events, database }: DemoSettings): string {
  const parts = [
    events !== undefined && `posts events to ${events}`,
    database !== undefined && `changes rows of ${database}`,
  ];
  return parts.filter((part) => part !== false).join(' and ');
}

function printNextSteps(
  groups: readonly GroupAnswer[],
  { temporalUi, demo }: { readonly temporalUi: string | null; readonly demo: DemoSettings },
): void {
  // Of what is fed there are more all the time: the others can be brought to an end.
  const quiet = groups.filter(({ source }) => source !== demo.events);
  const typed = quiet.find(({ field, kind }) => field !== null && kind === 'type-mismatch');
  const chosen = typed ?? groups[0];
  const steps: [string, string][] = [];
  if (chosen) {
    const id = chosen.groupId.slice(0, 8);
    const { source, stream, field } = chosen;
    steps.push(['failed list', 'what could not be loaded, and why']);
    steps.push([`failed show ${id}`, 'one group, with its events']);
    if (typed) steps.push([`mapping set ${source} ${stream} ${field} --type text`, 'a wider type']);
    if (typed) steps.push([`failed retry ${id}`, 'load them, exactly once']);
  }
  steps.push(['sync', 'load what is new']);
  if (Object.keys(demo).length > 0) {
    steps.push(['demo', `the demo ${describeDemo(demo)}, for ten minutes more`]);
  }
  print('What to try next, in a second terminal:');
  const width = Math.max(...steps.map(([verb]) => verb.length));
  for (const [verb, what] of steps) print(`  npm run millrace -- ${verb.padEnd(width)}  ${what}`);
  if (chosen && temporalUi !== null) {
    print(`Or in Temporal, ${temporalUi}: find MillraceReview="waiting", signal "retry".`);
  }
  print(
    'Ctrl-C, or "npm run millrace -- down", stops everything; the next start goes on from there.',
  );
}
