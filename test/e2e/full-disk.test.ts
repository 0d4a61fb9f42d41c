import { mkdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runCli, withoutOurs } from '../support/instance.ts';
import { mountSmallDisk } from '../support/mount-disk.ts';
import { fillDuringLoad } from '../support/small-disk.ts';

const isRoot = process.getuid?.() === 0;
const MiB = 2 ** 20;

test.skipIf(!isRoot)(
  'a full disk before the start ends with 1 and says what to free (only root can mount one)',
  async () => {
    await using disk = await mountSmallDisk('24m');
    const environment = { ...withoutOurs(process.env), MILLRACE_HOME: disk.home };
    await mkdir(disk.home);
    const up = ['up', '--detach', '--ports', 'auto', '--no-demo', '--json'];
    const { code, stdout, stderr } = await runCli(up, disk.home, environment);
    expect({ code, stderr }).toMatchObject({ code: 1 });
    expect(stderr).toMatch(/The disk that holds the home .* is full\. Free some space/);
    expect(stderr).not.toMatch(/^\s+at |\bError:/m);
    expect(JSON.parse(stdout).error).toMatchObject({ kind: 'staging-unavailable', exitCode: 1 });
  },
);

test.skipIf(!isRoot)(
  'a disk that falls below its reserve during a load stops planning; all loads once there is room (only root can mount one)',
  () => fillDuringLoad({ reserve: 64 * MiB, leftBytes: 32 * MiB }),
);
