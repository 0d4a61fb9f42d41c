import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const workflows = fileURLToPath(new URL('../workflows/', import.meta.url));
const lockFile = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const cache = fileURLToPath(new URL('../node_modules/.cache/millrace/', import.meta.url));
const builder = fileURLToPath(new URL('./build-bundle.ts', import.meta.url));

/**
 * Path of the bundled workflows, built at most once per version of their code. The builder is a
 * process of its own: webpack would stay in the worker's memory for ever.
 */
export async function ensureWorkflowBundle(): Promise<string> {
  const directory = await writableCache();
  const path = join(directory, `workflows-${await hashInputs()}.js`);
  if (!existsSync(path)) {
    await promisify(execFile)(process.execPath, [builder, path], { maxBuffer: 2 ** 26 });
  }
  return path;
}

/** Writes the bundle under a temporary name and renames it: two builders do no harm. */
export async function writeBundle(path: string, code: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, path);
}

async function hashInputs(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(lockFile));
  const files = (await readdir(workflows)).filter((name) => name.endsWith('.ts')).sort();
  for (const name of files) hash.update(name).update(await readFile(join(workflows, name)));
  return hash.digest('hex').slice(0, 20);
}

async function writableCache(): Promise<string> {
  try {
    await mkdir(cache, { recursive: true });
    const probe = join(cache, `.${process.pid}`);
    await writeFile(probe, '');
    await rename(probe, join(cache, '.writable'));
    return cache;
  } catch {
    const fallback = join(tmpdir(), `millrace-cache-${process.getuid?.() ?? 0}`);
    await mkdir(fallback, { recursive: true, mode: 0o700 });
    return fallback;
  }
}
