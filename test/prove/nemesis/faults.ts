import { databaseFaults } from './database-faults.ts';
import { failpointFaults } from './failpoint-faults.ts';
import type { Fault } from './fault.ts';
import { handFaults } from './hand-faults.ts';
import { processFaults } from './process-faults.ts';

/** All kinds, by name. */
export const faults: ReadonlyMap<string, Fault> = new Map(
  [...failpointFaults, ...processFaults, ...databaseFaults, ...handFaults].map((fault) => [
    fault.name,
    fault,
  ]),
);
