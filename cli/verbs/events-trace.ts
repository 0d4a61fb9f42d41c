import type { TraceAnswer } from '../../server/contract/traces.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runEventsTrace(
  id: string,
  { json, source }: JsonFlag & { readonly source?: string },
): Promise<number> {
  const answer = await (await connect()).get<TraceAnswer>('traces', { id, source });
  if (json) printJson(answer);
  else printTrace(answer);
  const isKnown = answer.received.length + answer.failed.length > 0;
  return isKnown ? exitCode.ok : exitCode.failure;
}

function printTrace({ id, received, failed }: TraceAnswer): void {
  if (received.length + failed.length === 0) {
    say(
      `no event ${id} is in the intake or in review: it was not received, or is settled for long`,
    );
  }
  for (const { source, stream, chunk, receivedAt, bytes, deliveries } of received) {
    print(`received ${receivedAt}: ${source}.${stream}, ${bytes} bytes, chunk ${chunk}`);
    if (deliveries.length === 0) print('  not planned yet');
    for (const { destination, state, batchId } of deliveries) {
      print(`  ${destination}: ${state}, batch ${batchId}`);
    }
  }
  for (const { source, stream, destination, kind, state, groupId, message } of failed) {
    print(`failed event ${source}.${stream} → ${destination}: ${kind}, ${state}`);
    print(`  ${message} (group ${groupId?.slice(0, 8) ?? 'none'})`);
  }
}
