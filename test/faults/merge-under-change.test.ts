import { test } from 'vitest';
import { tellMergeStory } from '../support/merge-story.ts';

const deadlineMs = 600_000;

test(
  '20,000 updates of 1,000 keys while loads are killed, cut off and restreamed: the tables are the source’s',
  async () => {
    await tellMergeStory({ keys: 1_000, updates: 20_000, kills: 2, lagMs: 400 });
  },
  deadlineMs,
);
