import { startWorker } from './runtime.ts';

/** A worker as a process of its own: runs until SIGTERM or SIGINT, then finishes what it holds. */
const worker = await startWorker();
process.once('SIGTERM', () => worker.shutdown());
process.once('SIGINT', () => worker.shutdown());
process.stdout.write('{"ready":true}\n');
await worker.done;
process.exit(0);
