import type { ReplayableSource } from '../../../core/source.ts';
import type { Sabotage } from './sabotage.ts';
import { withOverrides } from './with-overrides.ts';

export const position: Sabotage = {
  breaks: 'the head of a lane moves over a range that no batch has',
  word: 'non-monotonic',
  provokedBy: ['worker stands still'],
  dependencies: (real) => ({
    ...real,
    openSource: async (configured) => {
      const source = await real.openSource(configured);
      const plan: ReplayableSource['plan'] = async (...input) => {
        const found = await source.plan(...input);
        return { ...found, ranges: found.ranges.filter((_, at) => at !== 1) };
      };
      return withOverrides(source, { plan });
    },
  }),
};

export const reconciler: Sabotage = {
  breaks: 'nobody starts what the catalog says should run and does not',
  word: 'unseen',
  provokedBy: ["all of Temporal's state lost under a retry"],
  activities: (real) => ({ ...real, reconcile: async () => ({ started: 0 }) }),
};

export const claim: Sabotage = {
  breaks: 'events are open again while their restream is on its way',
  word: 'duplicate',
  provokedBy: ['kill at restream-loaded'],
  activities: (real, { catalog }) => ({
    ...real,
    async freezeRestream(input) {
      const status = await real.freezeRestream(input);
      await catalog.query(
        `UPDATE millrace.failure_records SET state = 'open'
          WHERE restream_id = $1 AND state = 'restreaming'`,
        [input.restreamId],
      );
      return status;
    },
  }),
};
