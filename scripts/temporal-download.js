import { createWriteStream, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runCommand } from './commands.js';
import { findNetworkFault, report } from './progress.js';

const releases = 'https://github.com/temporalio/cli/releases/download';
const answerTimeoutMs = 8_000;
const totalTimeoutMs = 600_000;

/**
 * Fetches the released CLI into `target`; a half-done download never stands under that name.
 * Without a network it fails within ten seconds.
 * @returns {Promise<{ ok: true } | { ok: false, network: boolean, reason: string }>}
 */
export async function downloadTemporal(target, version, env = process.env) {
  const url = `${env.MILLRACE_TEMPORAL_RELEASES ?? releases}/v${version}/${archiveName(version)}`;
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(`${target}-download-`);
  try {
    await fetchArchive(url, join(folder, 'archive.tar.gz'));
    const { code, output } = await runCommand(['tar', '-xzf', 'archive.tar.gz', 'temporal'], {
      cwd: folder,
    });
    if (code !== 0) return { ok: false, network: false, reason: `the archive: ${output.trim()}` };
    renameSync(join(folder, 'temporal'), target);
    return { ok: true };
  } catch (error) {
    if (error.code === 'ENOSPC') throw error;
    return { ok: false, network: true, reason: describe(error) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function archiveName(version) {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return `temporal_cli_${version}_${process.platform}_${arch}.tar.gz`;
}

async function fetchArchive(url, file) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(new Error('no answer (ETIMEDOUT)')), answerTimeoutMs);
  try {
    const response = await fetch(url, { signal: abort.signal });
    clearTimeout(timer);
    if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`);
    report(`downloading Temporal from ${new URL(url).host}`);
    timer = setTimeout(() => abort.abort(new Error('too slow (ETIMEDOUT)')), totalTimeoutMs);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(file));
  } finally {
    clearTimeout(timer);
  }
}

/** fetch hides the reason of a network fault in its cause. */
function describe(error) {
  const text = `${error.message} ${error.cause?.code ?? ''} ${error.cause?.message ?? ''}`;
  return findNetworkFault(text) ?? error.cause?.message ?? error.message;
}
