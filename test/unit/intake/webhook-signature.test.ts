import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { findSignatureFault, type SignedRequest } from '../../../intake/webhook-signature.ts';

/** The example of the specification's reference libraries. */
const example = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: '1614265330',
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const { id, timestamp, signature } = example;
const request: SignedRequest = {
  headers: { id, timestamp, signature },
  body: Buffer.from(example.body),
  secrets: [example.secret],
  toleranceMs: 300_000,
  now: Number(timestamp) * 1000,
};

function withHeaders(headers: Partial<SignedRequest['headers']>): SignedRequest {
  return { ...request, headers: { ...request.headers, ...headers } };
}

describe('a signature of Standard Webhooks', () => {
  test('is right for the example of the specification', () => {
    expect(findSignatureFault(request)).toBeNull();
  });

  test('is right if one of several signatures fits one of several secrets', () => {
    const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    const several = withHeaders({ signature: `v1,AAAA v2,${'A'.repeat(44)} ${signature}` });
    expect(findSignatureFault({ ...several, secrets: [other, example.secret] })).toBeNull();
    expect(findSignatureFault({ ...several, secrets: [other] })).toMatch('check the secret');
  });

  test('covers id, time and body', () => {
    expect(findSignatureFault(withHeaders({ id: 'msg_other' }))).not.toBeNull();
    expect(findSignatureFault(withHeaders({ timestamp: '1614265331' }))).not.toBeNull();
    expect(findSignatureFault({ ...request, body: Buffer.from('{"test": 1}') })).not.toBeNull();
  });

  test.each([-301_000, 301_000])('is void at %i ms from its time', (ms) => {
    expect(findSignatureFault({ ...request, now: request.now + ms })).toMatch('300 seconds');
    expect(
      findSignatureFault({ ...request, now: request.now + Math.sign(ms) * 299_000 }),
    ).toBeNull();
  });

  test.each([{ id: null }, { timestamp: null }, { signature: null }, { signature: '' }])(
    'is missing with %o',
    (headers) => {
      expect(findSignatureFault(withHeaders(headers))).toMatch('not signed');
    },
  );

  test('with a time that is none is refused, though it is signed', () => {
    const key = Buffer.from(example.secret.slice(6), 'base64');
    const sign = createHmac('sha256', key).update(`${id}.1e9.${example.body}`).digest('base64');
    const forged = withHeaders({ timestamp: '1e9', signature: `v1,${sign}` });
    expect(findSignatureFault(forged)).toMatch('seconds since 1970');
  });
});
