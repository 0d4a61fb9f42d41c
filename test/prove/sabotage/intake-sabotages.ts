import { setTimeout as sleep } from 'node:timers/promises';
import { appendChunk } from '../../../store/catalog/intake-chunks.ts';
import type { Sabotage } from './sabotage.ts';

const lateMs = 2_000;

export const acknowledge: Sabotage = {
  breaks: 'events are acknowledged before they are stored',
  word: 'lost',
  provokedBy: ['server killed'],
  strikes: 3, // only what came in just before is not stored yet
  async append(catalog, chunk) {
    void sleep(lateMs)
      .then(() => appendChunk(catalog, chunk))
      .catch(() => undefined); // its sender has long been told that all is well
    return { chunk: 0, storedBytes: 0 };
  },
};
