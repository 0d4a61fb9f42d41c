import type {
  DestinationAnswer,
  DestinationCheckAnswer,
} from '../../server/contract/destinations.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runDestinationList({ json }: JsonFlag): Promise<number> {
  const destinations = await (await connect()).get<DestinationAnswer[]>('destinations');
  if (json) printJson(destinations);
  else {
    const rows = destinations.map(({ destination, type, place, state, message }) => [
      destination,
      type,
      place ?? 'embedded',
      message === null ? state : `${state}: ${message}`,
    ]);
    printTable(['destination', 'type', 'place', 'state'], rows);
  }
  return exitCode.ok;
}

export async function runDestinationCheck(name: string, { json }: JsonFlag): Promise<number> {
  const path = `destinations/${encodeURIComponent(name)}/check`;
  const answer = await (await connect()).post<DestinationCheckAnswer>(path);
  if (json) printJson(answer);
  else say(`${name} can be loaded`);
  return exitCode.ok;
}
