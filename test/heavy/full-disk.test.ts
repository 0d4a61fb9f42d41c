import { test } from 'vitest';
import { fillDuringLoad } from '../support/small-disk.ts';

test.skipIf(process.getuid?.() !== 0)(
  'a disk full to its last byte, under Temporal too, loses nothing: all loads once there is room (only root can mount one)',
  () => fillDuringLoad({ reserve: 0, leftBytes: 0 }),
);
