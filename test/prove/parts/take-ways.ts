import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Ways of a worker or server to others, each by a proxy of the proof. */
export const ways = ['catalog', 'warehouse', 'Temporal'] as const;

export type Way = (typeof ways)[number];

const variables: Readonly<Record<Way, string>> = {
  catalog: 'MILLRACE_CATALOG_URL',
  warehouse: 'MILLRACE_WAREHOUSE_BASE_URL',
  Temporal: 'TEMPORAL_ADDRESS',
};

/**
 * Lets this process go by the proxies whose ports stand in the proof's folder, and notes there where
 * each is to lead: nobody knew before this instance had its ports.
 */
export function takeWays(environment: NodeJS.ProcessEnv = process.env): void {
  const folder = environment['PROOF_PARTS'];
  if (folder === undefined) return;
  for (const way of ways) {
    const variable = variables[way];
    const own = readFileSync(join(folder, `${way}.proxy`), 'utf8');
    const { text, port } = redirect(environment[variable] ?? '', own);
    const file = join(folder, `${way}.port`);
    writeFileSync(`${file}.${process.pid}`, port);
    renameSync(`${file}.${process.pid}`, file);
    environment[variable] = text;
  }
}

/** Of a url, or of `host:port`. */
function redirect(address: string, own: string): { readonly text: string; readonly port: string } {
  const isUrl = address.includes('://');
  const url = new URL(isUrl ? address : `tcp://${address}`);
  const { port } = url;
  url.hostname = '127.0.0.1';
  url.port = own;
  return { text: isUrl ? url.toString().replace(/\/$/, '') : url.host, port };
}
