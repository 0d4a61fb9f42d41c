import { access, constants, statfs } from 'node:fs/promises';
import { homeDirectory } from '../../local/home.ts';
import { readInstance, type InstanceInfo } from '../../local/instance.ts';
import type { PlatformAnswer, ReadyAnswer, StatusAnswer } from '../../server/contract/status.ts';
import { createApi } from '../api.ts';
import { describeError, exitCode } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { printJson } from '../print.ts';
import type { JsonFlag } from './flags.ts';

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

const enoughBytes = 2 ** 30;

/** Looks at everything that this machine needs, and says what is wrong. */
export async function runDoctor({ json }: JsonFlag): Promise<number> {
  const home = homeDirectory();
  const findings = [checkNode(), ...(await checkHome(home)), ...(await checkInstance(home))];
  if (json) printJson(findings);
  else {
    const rows = findings.map(({ check, ok, detail }) => [check, ok ? 'ok' : 'PROBLEM', detail]);
    printTable(['check', 'state', 'detail'], rows);
  }
  return findings.every(({ ok }) => ok) ? exitCode.ok : exitCode.failure;
}

function checkNode(): Finding {
  const ok = process.version.startsWith('v24.');
  return { check: 'node', ok, detail: ok ? process.version : `${process.version}: needs v24` };
}

async function checkHome(home: string): Promise<Finding[]> {
  try {
    await access(home, constants.W_OK);
  } catch {
    const detail = `${home} is not there or cannot be written: npm start makes it`;
    return [{ check: 'home', ok: false, detail }];
  }
  const { bavail, bsize } = await statfs(home);
  const free = `${Math.round((bavail * bsize) / 2 ** 20)} MiB free`;
  const enough = bavail * bsize >= enoughBytes;
  return [
    { check: 'home', ok: true, detail: home },
    { check: 'disk', ok: enough, detail: enough ? free : `${free}: planning stops below 1024 MiB` },
  ];
}

async function checkInstance(home: string): Promise<Finding[]> {
  const instance = await readInstance(home);
  if (!instance?.info) {
    return [{ check: 'instance', ok: false, detail: 'nothing runs here: npm start' }];
  }
  const found = { check: 'instance', ok: true, detail: `pid ${instance.info.pid}` };
  try {
    return [found, ...(await checkServer(instance.info))];
  } catch (error) {
    return [found, { check: 'server', ok: false, detail: describeError(error) }];
  }
}

async function checkServer(info: InstanceInfo): Promise<Finding[]> {
  const api = await createApi(info);
  const { reasons } = await api.ready();
  const platform = await api.get<PlatformAnswer>('platform');
  const status = await api.get<StatusAnswer>('status');
  return [
    checkReady(reasons),
    ...checkPlatform(platform),
    ...status.destinations.map(({ destination, state, message }) => ({
      check: `destination ${destination}`,
      ok: state === 'ok',
      detail: message ?? state,
    })),
    ...status.stoppedLanes.map(({ source, lane, message }) => ({
      check: `${source}/${lane}`,
      ok: false,
      detail: message ?? 'stands still',
    })),
  ];
}

function checkReady(reasons: ReadyAnswer['reasons']): Finding {
  return { check: 'server', ok: reasons.length === 0, detail: reasons.join('; ') || 'ready' };
}

function checkPlatform({ postgres, fsync, superuser, temporal }: PlatformAnswer): Finding[] {
  const role = superuser ? 'is a superuser: give the catalog a role that is not' : 'no superuser';
  return [
    { check: 'temporal', ok: temporal !== null, detail: temporal ?? 'does not answer' },
    { check: 'postgres', ok: true, detail: postgres },
    { check: 'fsync', ok: fsync, detail: fsync ? 'on' : 'off: a power failure may lose data' },
    { check: 'role', ok: !superuser, detail: role },
  ];
}
