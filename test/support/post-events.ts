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
