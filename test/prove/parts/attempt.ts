import { runAttempts } from '../../support/run-attempts.ts';
import { sabotageOf } from '../sabotage/sabotages.ts';

/** Attempts as the worker of a proof would make them, with the sabotage that `SABOTAGE` names. */
await runAttempts(sabotageOf(process.env['SABOTAGE']));
