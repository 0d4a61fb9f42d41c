import { readFile } from 'node:fs/promises';
import { PipelineError } from '../core/errors.ts';
import { homeDirectory, homePaths } from '../local/home.ts';
import { readInstance, type InstanceInfo } from '../local/instance.ts';
import type { ErrorAnswer } from '../server/contract/errors.ts';
import type { ReadyAnswer } from '../server/contract/status.ts';
import { exitCode, fromAnswer, VerbEnd } from './exit-codes.ts';

/** The HTTP API of the instance that owns the home. */
export interface Api {
  readonly info: InstanceInfo;
  /** What the server still waits for. */
  ready(): Promise<ReadyAnswer>;
  get<T>(path: string, query?: Readonly<Record<string, string | number | undefined>>): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  /** Posts events as they are; answers whatever the server does. */
  postEvents(source: string, request: EventsRequest): Promise<Response>;
}

export interface EventsRequest {
  readonly lines: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

const requestTimeoutMs = 120_000;
const readyTimeoutMs = 5_000;

/** @throws VerbEnd (exit code 4) when nothing runs in the home */
export async function connect(): Promise<Api> {
  const home = homeDirectory();
  const instance = await readInstance(home);
  if (instance?.info) return createApi(instance.info);
  const state = instance ? 'Millrace is still starting' : 'no Millrace runs';
  throw new VerbEnd(exitCode.cannotConnect, `${state} in ${home}: start it with npm start`);
}

export async function createApi(info: InstanceInfo): Promise<Api> {
  const token = (await readFile(homePaths(info.home).adminToken, 'utf8')).trim();
  const call = <T>(method: string, path: string, body?: unknown) =>
    request<T>(`${info.console}/v1/${path}`, { method, token, body });
  return {
    info,
    ready: () => askReady(info.console),
    get: (path, query = {}) => call('GET', `${path}${toQuery(query)}`),
    post: (path, body = {}) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    postEvents: (source, { lines, headers }) =>
      fetch(`${info.ingest}/${encodeURIComponent(source)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, ...headers },
        body: lines,
        signal: AbortSignal.timeout(requestTimeoutMs),
      }),
  };
}

/** Answers also with 503; needs no token. */
export async function askReady(url: string): Promise<ReadyAnswer> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(readyTimeoutMs) });
    return (await response.json()) as ReadyAnswer;
  } catch {
    return { ready: false, reasons: ['the server does not answer'] };
  }
}

function toQuery(query: Readonly<Record<string, string | number | undefined>>): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) given.set(key, String(value));
  }
  return given.size === 0 ? '' : `?${given.toString()}`;
}

async function request<T>(
  url: string,
  { method, token, body }: { method: string; token: string; body: unknown },
): Promise<T> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(requestTimeoutMs);
  const init = {
    method,
    headers,
    signal,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  const response = await fetch(url, init).catch((cause: unknown) => {
    throw new PipelineError(
      'catalog-unavailable',
      `the server at ${new URL(url).origin} does not answer: see "status", and the logs in the home`,
      { cause },
    );
  });
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer as T;
  const { error } = (answer ?? {}) as Partial<ErrorAnswer>;
  throw fromAnswer(error?.kind ?? '', error?.message ?? `the server answered ${response.status}`);
}
