import { test } from 'vitest';
import { tellIntakeStory } from '../support/intake-story.ts';

test('100,000 events of several clients, some sent twice, while the server is killed twice: each answered one is there, once', () =>
  tellIntakeStory({ events: 100_000, clients: 8, kills: 2 }));
