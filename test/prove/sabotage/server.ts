import { runServer } from '../../../server/run-server.ts';
import { sabotageOf } from './sabotages.ts';

/** `server.ts NAME`: the server with one sabotage. */
const { append } = sabotageOf(process.argv[2]);
await runServer({ ...(append && { append }) });
