import { clockFaults } from './clock-faults.ts';
import { databaseFaults } from './database-faults.ts';
import { diskFaults } from './disk-faults.ts';
import { failpointFaults } from './failpoint-faults.ts';
import type { Fault } from './fault.ts';
import { handFaults } from './hand-faults.ts';
import { networkFaults } from './network-faults.ts';
import { processFaults } from './process-faults.ts';

/** All kinds, by name. */
export const faults: ReadonlyMap<string, Fault> = new Map(
  [
    ...failpointFaults,
    ...processFaults,
    ...databaseFaults,
    ...networkFaults,
    ...clockFaults,
    ...diskFaults,
    ...handFaults,
  ].map((fault) => [fault.name, fault]),
);
