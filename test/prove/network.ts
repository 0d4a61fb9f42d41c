import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  startFaultProxy,
  startProxyFor,
  type FaultProxy,
} from '../support/fault-proxy/fault-proxy.ts';
import type { SmallDisk } from '../support/mount-disk.ts';
import { startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { ways, type Way } from './parts/take-ways.ts';

/**
 * What the product talks to, each by a proxy, and the way of applications to it. Archive and store
 * live in a PostgreSQL of their own.
 */
export type Link = Way | 'archive' | 'store' | 'intake';

export interface Network extends AsyncDisposable {
  readonly links: Readonly<Record<Link, FaultProxy>>;
  /** For the instance. */
  readonly environment: NodeJS.ProcessEnv;
  /** Holds a destination and the database that is a source. */
  readonly farServer: PostgresServer;
  /** Its tables have a disk of their own; null where nobody here may mount one. */
  readonly archiveDisk: SmallDisk | null;
  /** Without a proxy. */
  readonly archiveUrl: string;
  readonly storeUrl: string;
  /** Where applications get to: a server may come back under another port. */
  leadIntakeTo(url: () => string): void;
  /** Sets the clock of a part of the instance off by so much; it notices within a moment. */
  setClock(part: 'worker' | 'server', offsetMs: number): Promise<void>;
}

const nowhere = 'http://127.0.0.1:1';

/**
 * @param folder of the proof
 * @param archiveDisk lives longer than the network
 */
export async function startNetwork(
  folder: string,
  archiveDisk: SmallDisk | null,
): Promise<Network> {
  const parts = join(folder, 'parts');
  await mkdir(parts, { recursive: true });
  await using stack = new AsyncDisposableStack();
  const farServer = stack.use(await startPostgres());
  const archiveUrl = await farServer.createDatabase('archive');
  if (archiveDisk) await farServer.moveDatabase('archive', archiveDisk.home);
  const storeUrl = await farServer.createDatabase('store');
  const near = ways.map(async (way) => {
    const target = () => Number(readFileSync(join(parts, `${way}.port`), 'utf8'));
    const proxy = stack.use(await startFaultProxy(target));
    await writeFile(join(parts, `${way}.proxy`), String(proxy.port));
    return [way, proxy] as const;
  });
  let intakeUrl = () => nowhere;
  const links = {
    ...(Object.fromEntries(await Promise.all(near)) as Record<Way, FaultProxy>),
    archive: stack.use(await startProxyFor(archiveUrl)),
    store: stack.use(await startProxyFor(storeUrl)),
    intake: stack.use(await startFaultProxy(() => Number(new URL(intakeUrl()).port))),
  };
  const owned = stack.move();
  return {
    links,
    environment: { PROOF_PARTS: parts },
    farServer,
    archiveDisk,
    archiveUrl,
    storeUrl,
    leadIntakeTo: (url) => void (intakeUrl = url),
    async setClock(part, offsetMs) {
      const file = join(parts, `${part}.clock`);
      await writeFile(`${file}.new`, String(offsetMs));
      await rename(`${file}.new`, file);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
