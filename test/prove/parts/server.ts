import { runServer } from '../../../server/run-server.ts';
import { sabotageOf } from '../sabotage/sabotages.ts';
import { followClock } from './follow-clock.ts';
import { takeWays } from './take-ways.ts';

/** `server.ts NAME`: the server, with one sabotage or none. */
takeWays();
followClock('server');
const { append } = sabotageOf(process.argv[2]);
await runServer({ ...(append && { append }) });
