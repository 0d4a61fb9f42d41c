import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { PipelineError } from '../core/errors.ts';

/** Where the parts of one instance listen, on 127.0.0.1. */
export interface Ports {
  readonly server: number;
  readonly postgres: number;
  readonly temporal: number;
  readonly temporalUi: number;
}

export type PortChoice = 'default' | 'auto';

/** Away from 5432, 7233, 8080, 8233 and the like, where other programs live. */
export const defaultPorts: Ports = {
  server: 8743,
  postgres: 8744,
  temporal: 8745,
  temporalUi: 8746,
};

/** Below the range from which systems take ports for outgoing connections. */
const autoRange = { from: 20_000, to: 30_000 };

const labels: Readonly<Record<keyof Ports, string>> = {
  server: 'the Millrace server',
  postgres: 'Postgres',
  temporal: 'Temporal',
  temporalUi: "Temporal's Web UI",
};

/**
 * The ports of an instance that is about to start: those it had before, else the default ones, or
 * free ones. Whatever else listens on a port is never touched and never used.
 * @param needed the parts that will run here
 * @throws PipelineError `port-taken` naming the port that is taken
 */
export async function choosePorts(
  choice: PortChoice,
  kept: Ports | undefined,
  needed: readonly (keyof Ports)[],
): Promise<Ports> {
  const wanted = kept ?? (choice === 'auto' ? undefined : defaultPorts);
  const taken = wanted === undefined ? undefined : await findTaken(wanted, needed);
  if (wanted !== undefined && taken === undefined) return wanted;
  if (choice === 'auto') return takeFreePorts();
  throw portTaken(taken ?? 'server', wanted ?? defaultPorts);
}

async function findTaken(
  ports: Ports,
  needed: readonly (keyof Ports)[],
): Promise<keyof Ports | undefined> {
  for (const part of needed) {
    if (!(await isFree(ports[part]))) return part;
  }
  return undefined;
}

function portTaken(part: keyof Ports, ports: Ports): PipelineError {
  const port = ports[part];
  return new PipelineError(
    'port-taken',
    `Port ${port}, meant for ${labels[part]}, is in use by another program. End that program, or start with --ports auto to take free ports.`,
    { details: { port } },
  );
}

async function takeFreePorts(): Promise<Ports> {
  const found: number[] = [];
  while (found.length < 4) {
    const port = randomInt(autoRange.from, autoRange.to);
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  const [server = 0, postgres = 0, temporal = 0, temporalUi = 0] = found;
  return { server, postgres, temporal, temporalUi };
}

/** Free means that we can listen there, now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}
