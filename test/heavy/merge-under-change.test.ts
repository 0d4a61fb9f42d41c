import { test } from 'vitest';
import { noteMeasure } from '../support/measures.ts';
import { tellMergeStory } from '../support/merge-story.ts';

test('200,000 updates of 10,000 keys while loads are killed, cut off and restreamed: the tables are the source’s', async () => {
  const story = { keys: 10_000, updates: 200_000, kills: 5, lagMs: 2_000 };
  const { drainedMs } = await tellMergeStory(story);
  await noteMeasure(
    `merge: after 200,000 updates all is there ${(drainedMs / 1000).toFixed(1)} s behind the last one`,
  );
});
