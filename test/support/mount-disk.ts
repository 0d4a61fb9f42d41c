import { execFile } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk extends AsyncDisposable {
  /** A folder on it that is not there yet. */
  readonly home: string;
  /** Writes a file until so many bytes are left. */
  fill(leftBytes: number): Promise<void>;
  free(): Promise<void>;
}

/** A file system of its own for a home. */
export async function mountSmallDisk(size: string): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  const filler = join(folder, 'filler');
  return {
    home: join(folder, 'home'),
    async fill(leftBytes) {
      const { bavail, bsize } = await statfs(folder);
      await writeFile(filler, zeros(Math.max(0, bavail * bsize - leftBytes)));
    },
    free: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      // Something may still have a file open there, for instance after a strike that was broken off.
      await run('umount', [folder]).catch(() => run('umount', ['--lazy', folder]));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function* zeros(bytes: number): Iterable<Uint8Array> {
  const piece = new Uint8Array(16 * 1024 ** 2);
  for (let left = bytes; left > 0; left -= piece.length) {
    yield left < piece.length ? piece.subarray(0, left) : piece;
  }
}
