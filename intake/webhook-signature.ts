import { createHmac, timingSafeEqual } from 'node:crypto';

/** Headers of Standard Webhooks (https://www.standardwebhooks.com), as they came. */
export interface SignatureHeaders {
  readonly id: string | null;
  readonly timestamp: string | null;
  readonly signature: string | null;
}

export interface SignedRequest {
  readonly headers: SignatureHeaders;
  readonly body: Uint8Array;
  readonly secrets: readonly string[];
  readonly toleranceMs: number;
  readonly now: number;
}

/** What is wrong with the signature of a request; null: it is signed with one of the secrets. */
export function findSignatureFault(request: SignedRequest): string | null {
  const { headers, toleranceMs, now } = request;
  const { id, timestamp, signature } = headers;
  if (!id || !timestamp || !signature) {
    return 'the request is not signed: send webhook-id, webhook-timestamp and webhook-signature';
  }
  if (!/^\d{1,12}$/.test(timestamp)) return 'webhook-timestamp must be seconds since 1970';
  if (Math.abs(now - Number(timestamp) * 1000) > toleranceMs) {
    return `webhook-timestamp is more than ${toleranceMs / 1000} seconds away from the time here`;
  }
  const given = signature
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .map((part) => Buffer.from(part.slice(3), 'base64'));
  const isSigned = request.secrets.some((secret) => {
    const wanted = signatureOf(secret, { id, timestamp, body: request.body });
    return given.some((one) => one.length === wanted.length && timingSafeEqual(one, wanted));
  });
  return isSigned ? null : 'no signature in webhook-signature is right: check the secret';
}

function signatureOf(
  secret: string,
  { id, timestamp, body }: { id: string; timestamp: string; body: Uint8Array },
): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}
