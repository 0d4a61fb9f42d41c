import type { PreviewAnswer, PreviewTable } from '../../server/contract/previews.ts';
import { connect } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { print, printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

const longestCell = 40;

/** What a source would become: columns, DDL, a few rows. Writes nothing. */
export async function runPreview(
  { source, stream }: { readonly source: string; readonly stream: string | undefined },
  { json, rows: text }: JsonFlag & { readonly rows: string },
): Promise<number> {
  const rows = Number(text);
  if (!Number.isInteger(rows)) throw new VerbEnd(exitCode.usage, '--rows takes a whole number');
  const path = `sources/${encodeURIComponent(source)}/preview`;
  const answers = await (await connect()).post<PreviewAnswer[]>(path, { stream, rows });
  if (json) {
    printJson(answers);
    return exitCode.ok;
  }
  for (const { stream: name, lane, events, destinations } of answers) {
    print(`${source}.${name}: the first ${events} records of ${lane}`);
    for (const table of destinations) printPreview(table);
  }
  return exitCode.ok;
}

function printPreview(preview: PreviewTable): void {
  const { destination, table, write, columns, statements, unavailable, rows, failures } = preview;
  print(`→ ${destination} ${table} (${write})`);
  printTable(
    ['field', 'column', 'type', ''],
    columns.map(({ field, column, type, isNew }) => [field, column, type, isNew ? 'new' : '']),
  );
  if (statements === null) say(`its tables cannot be looked at now: ${unavailable}`);
  else if (statements.length === 0) print('the table needs no change');
  for (const statement of statements ?? []) print(`  ${statement};`);
  if (rows.length > 0) {
    printTable(
      columns.map(({ column }) => column),
      rows.map((row) => row.map(cut)),
    );
  }
  for (const { kind, field, events } of failures) {
    say(`${events} events would wait for review: ${kind}${field === null ? '' : ` (${field})`}`);
  }
  print('');
}

function cut(cell: string | null): string {
  const text = cell ?? 'NULL';
  return text.length <= longestCell ? text : `${text.slice(0, longestCell - 1)}…`;
}
