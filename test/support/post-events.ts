import type { TestInstance } from './instance.ts';

export interface EventsPost {
  readonly body: string | Uint8Array;
  readonly source?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
}

export interface EventsReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sends events to a source as an application would, with the token that the first start showed. */
export async function postEvents(
  { urls }: Pick<TestInstance, 'urls'>,
  { body, source = 'app', token = urls.tokens[source] ?? '', headers = {}, query = '' }: EventsPost,
): Promise<EventsReply> {
  const response = await fetch(`${urls.console}/v1/events/${source}${query}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      ...headers,
    },
    body,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(text) as Record<string, unknown>,
  };
}

/** An event of a producer that gives ids. */
export interface EventWithId {
  readonly id: string;
  readonly n: unknown;
}

/** Sends them in one request, so as one chunk. Answers the status. */
export async function postWithIds(
  instance: Pick<TestInstance, 'urls'>,
  events: readonly EventWithId[],
): Promise<number> {
  const lines = events.map(({ id, n }) => JSON.stringify({ n, _metadata: { '@uuid': id } }));
  const headers = { 'content-type': 'application/x-ndjson' };
  return (await postEvents(instance, { body: lines.join('\n'), headers })).status;
}
