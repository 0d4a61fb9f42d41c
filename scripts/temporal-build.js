import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath, isExecutable, lastLines, runCommand } from './commands.js';
import { diskFull, findNetworkFault, isDiskFull, report } from './progress.js';

/**
 * Builds the CLI from its Go module into `target`, with a name of its own until it is complete.
 * @returns {Promise<{ ok: true } | { ok: false, network: boolean, reason: string }>}
 */
export async function buildTemporal(target, version, { env, usualGo }) {
  const go = findOnPath('go', { path: env.PATH }) ?? (isExecutable(usualGo) ? usualGo : undefined);
  if (go === undefined) return { ok: false, network: false, reason: 'Go was not found' };
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(`${target}-build-`);
  try {
    const goVersion = await versionOf(go, folder, env);
    if (!isRecentGo(goVersion)) {
      return {
        ok: false,
        network: false,
        reason: `found ${goVersion || 'an unknown Go'}, too old`,
      };
    }
    report(`building Temporal ${version} with ${goVersion}: 3 to 10 minutes, once`);
    return await install({ go, version, folder, target, env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asked outside the clone, so that no go.mod nearby picks another toolchain. */
async function versionOf(go, cwd, env) {
  const { output } = await runCommand([go, 'env', 'GOVERSION'], { cwd, env });
  return output.trim();
}

export function isRecentGo(goVersion) {
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(goVersion) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 25);
}

/** Without cgo no C compiler is needed; the SQLite inside is written in Go. */
async function install({ go, version, folder, target, env }) {
  const { code, output } = await runCommand(
    [go, 'install', '-ldflags=-s -w', `github.com/temporalio/cli/cmd/temporal@v${version}`],
    {
      cwd: folder,
      env: { ...env, GOBIN: folder, CGO_ENABLED: '0' },
      stillDoing: 'building Temporal',
    },
  );
  if (code === 0) {
    renameSync(join(folder, 'temporal'), target);
    report('Temporal is built');
    return { ok: true };
  }
  if (isDiskFull(output)) throw diskFull();
  const fault = findNetworkFault(output);
  if (fault !== undefined) return { ok: false, network: true, reason: `its modules: ${fault}` };
  return { ok: false, network: false, reason: `the build failed: ${lastLines(output, 3)}` };
}
