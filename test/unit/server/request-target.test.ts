import { expect, test } from 'vitest';
import { toOriginForm } from '../../../server/request-target.ts';

function seen(url: string) {
  const request = {
    url,
    headers: { host: 'said.test' },
    rawHeaders: ['Host', 'said.test', 'A', 'b'],
  };
  toOriginForm(request);
  const { headers, rawHeaders } = request;
  expect(rawHeaders).toEqual(['Host', headers.host, 'A', 'b']);
  return [request.url, headers.host];
}

test('a target with its host in front is the path, and its host the one that counts', () => {
  expect(seen('http://named.test:8743/v1/events/app?a=1')).toEqual([
    '/v1/events/app?a=1',
    'named.test:8743',
  ]);
  expect(seen('HTTPS://Named.test')).toEqual(['/', 'Named.test']);
  expect(seen('http://user:word@named.test/x')).toEqual(['/x', 'named.test']);
  expect(seen('http://named.test?a=1')).toEqual(['/?a=1', 'named.test']);
  expect(seen('http:///x')).toEqual(['/x', '']);
});

test('every other target stays as it is', () => {
  for (const url of ['/v1/events/app', '/http://x/y', '*', 'named.test:80', '//named.test/x']) {
    expect(seen(url)).toEqual([url, 'said.test']);
  }
});
