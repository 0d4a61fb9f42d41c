import type { RecoveredSource, RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export interface RecoverFlags extends JsonFlag {
  readonly source?: string;
  readonly destination?: string;
  readonly adopt?: boolean;
  readonly dryRun?: boolean;
}

/** Brings catalog and warehouses in step after a backup was restored. */
export async function runRecover(flags: RecoverFlags): Promise<number> {
  const { json, source, destination, adopt = false, dryRun = false } = flags;
  const body = { source, destination, adopt, dryRun };
  const answer = await (await connect()).post<RecoveryAnswer>('recoveries', body);
  if (json) printJson(answer);
  else {
    for (const recovered of answer.sources) sayRecovered(recovered, dryRun);
    if (answer.delayed !== null) say(`it goes on later: ${answer.delayed}`);
  }
  const isStuck = answer.sources.some(({ conflicts }) => conflicts.length > 0);
  return isStuck ? exitCode.failure : exitCode.ok;
}

function sayRecovered(recovered: RecoveredSource, dryRun: boolean): void {
  const { source, conflicts, unseenLanes } = recovered;
  const done = describe(recovered);
  if (done.length === 0) say(`${source}: catalog and ledgers agree`);
  else say(`${source}: ${dryRun ? 'would be done: ' : ''}${done.join('; ')}`);
  for (const lane of unseenLanes) {
    say(
      `${source}/${lane}: loaded, and not in the source now: a file renamed since would load again`,
    );
  }
  for (const lane of conflicts) {
    say(`${source}/${lane}: different ranges are loaded; the source stands still until you decide`);
  }
}

function describe(counts: RecoveredSource): readonly string[] {
  const parts: readonly (readonly [number, string])[] = [
    [counts.takenOver, 'rows of another installation’s ledger taken over'],
    [counts.adopted, 'batches adopted from the ledgers'],
    [counts.lanes, 'lanes go on from another position'],
    [counts.rebuilding, 'deliveries read their failed events again'],
    [counts.withdrawn, 'plans withdrawn'],
    [counts.readAgain, 'ranges between them are read again'],
    [counts.settled, 'deliveries closed as their ledger says'],
    [counts.renumberedChunks, 'chunks of the intake numbered anew'],
    [counts.reopened, 'deliveries load again'],
    [counts.reopenedEvents, 'failed events wait for review again'],
    [counts.lostFailedEvents, 'failed events are lost: nothing has them any more'],
  ];
  return parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}
