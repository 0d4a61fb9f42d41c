import type { IncomingMessage } from 'node:http';

/**
 * Clients may name host and path in one (`POST http://host/path`), as they do to a proxy. Then that
 * host is the one that counts, whatever the header says (RFC 9112, 3.2.2).
 */
export function toOriginForm(
  request: Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders'>,
): void {
  const found = /^https?:\/\/([^/?#]*)([^#]*)/i.exec(request.url ?? '');
  if (!found) return;
  const [, authority = '', path = ''] = found;
  request.url = path.startsWith('/') ? path : `/${path}`;
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  request.headers.host = host;
  const { rawHeaders } = request;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === 'host') rawHeaders[at + 1] = host;
  }
}
