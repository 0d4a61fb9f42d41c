import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import type { Person } from './fresh-clone.ts';

const run = promisify(execFile);

export interface OrdinaryUser extends AsyncDisposable {
  readonly person: Person;
}

/** Root makes an account that goes away with its home; anybody else is ordinary already. */
export async function createOrdinaryUser(): Promise<OrdinaryUser> {
  if (process.getuid?.() !== 0) return { person: ourselves(), async [Symbol.asyncDispose]() {} };
  const name = `millrace-${process.pid}`;
  await run('useradd', ['--create-home', '--home-dir', `/home/${name}`, name]);
  const id = async (flag: string) => Number((await run('id', [flag, name])).stdout);
  return {
    person: { name, uid: await id('-u'), gid: await id('-g'), home: `/home/${name}` },
    async [Symbol.asyncDispose]() {
      await run('userdel', ['--remove', name]);
    },
  };
}

export function ourselves(): Person {
  const { username, uid, gid, homedir } = userInfo();
  return { name: username, uid, gid, home: homedir };
}
