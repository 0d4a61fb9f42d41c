import type { MappingAnswer, SetFieldAnswer } from '../../server/contract/mappings.ts';
import { connect } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { print, printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runMappingShow(
  { source, stream }: { readonly source: string | undefined; readonly stream: string | undefined },
  { json }: JsonFlag,
): Promise<number> {
  const answers = await (await connect()).get<MappingAnswer[]>('mappings', { source, stream });
  if (json) {
    printJson(answers);
    return exitCode.ok;
  }
  if (answers.length === 0)
    throw new VerbEnd(exitCode.failure, 'no mapping yet: nothing of this was loaded');
  for (const { mapping, history } of answers) {
    const { table, version, destination } = mapping;
    print(
      `${mapping.source}.${mapping.stream} → ${destination} ${table.schema}.${table.name}, version ${version}`,
    );
    const rows = mapping.columns.map(({ path, column, type, by }) => [path, column, type, by]);
    printTable(['field', 'column', 'type', 'chosen by'], rows);
    const [newest] = history;
    if (newest) print(`newest change: ${newest.author}, ${newest.createdAt}: ${newest.reason}`);
    print('');
  }
  return exitCode.ok;
}

export async function runMappingSet(
  place: { readonly source: string; readonly stream: string; readonly field: string },
  flags: JsonFlag & { readonly type: string; readonly destination?: string },
): Promise<number> {
  const { json, type, destination } = flags;
  const order = { ...place, type, ...(destination !== undefined && { destination }) };
  const answer = await (await connect()).put<SetFieldAnswer>('mappings/fields', order);
  if (json) printJson(answer);
  else {
    for (const { destination: name, version, changed } of answer.versions) {
      say(
        `${name}: ${place.field} is ${type}${changed ? '' : ' already'}, mapping version ${version}`,
      );
    }
  }
  return exitCode.ok;
}
