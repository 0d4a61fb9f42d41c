import { createActivities } from '../../../activities/index.ts';
import { startWorker } from '../../../workers/runtime.ts';
import { sabotageOf } from '../sabotage/sabotages.ts';
import { followClock } from './follow-clock.ts';
import { takeWays } from './take-ways.ts';

/** `worker.ts NAME`: the worker, with one sabotage or none. */
takeWays();
followClock('worker');
const { dependencies: give = (real) => real, activities: put = (real) => real } = sabotageOf(
  process.argv[2],
);
const worker = await startWorker({
  makeActivities: (real) => {
    const dependencies = give(real);
    return put(createActivities(dependencies), dependencies);
  },
});
process.once('SIGTERM', () => worker.shutdown());
process.once('SIGINT', () => worker.shutdown());
process.stdout.write('{"ready":true}\n');
await worker.done;
process.exit(0);
