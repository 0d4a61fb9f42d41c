import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { choosePorts, defaultPorts, type Ports } from '../../../local/ports.ts';

const allParts = ['server', 'postgres', 'temporal', 'temporalUi'] as const;

async function occupy(port: number): Promise<AsyncDisposable> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        listener.close(() => resolve());
      }),
  };
}

test('default ports keep away from those that Postgres, Temporal and web servers usually have', () => {
  const common = [3000, 5000, 5432, 7233, 8000, 8080, 8233, 9090];
  expect(Object.values(defaultPorts).filter((port) => common.includes(port))).toEqual([]);
});

test('automatic ports are four different free ones', async () => {
  const ports = await choosePorts('auto', undefined, allParts);
  expect(new Set(Object.values(ports)).size).toBe(4);
});

test('an instance keeps the ports it had', async () => {
  const kept = await choosePorts('auto', undefined, allParts);
  expect(await choosePorts('auto', kept, allParts)).toEqual(kept);
  expect(await choosePorts('default', kept, allParts)).toEqual(kept);
});

test('a port of somebody else is named in the refusal, together with the way out', async () => {
  const kept: Ports = await choosePorts('auto', undefined, allParts);
  await using _stranger = await occupy(kept.postgres);
  const refused = choosePorts('default', kept, allParts);
  await expect(refused).rejects.toMatchObject({
    kind: 'port-taken',
    details: { port: kept.postgres },
    message: expect.stringMatching(new RegExp(`${kept.postgres}.*--ports auto`)),
  });
});

test('automatic ports go elsewhere when a kept port was taken', async () => {
  const kept = await choosePorts('auto', undefined, allParts);
  await using _stranger = await occupy(kept.server);
  expect((await choosePorts('auto', kept, allParts)).server).not.toBe(kept.server);
});

test('the port of a part that runs elsewhere may be taken', async () => {
  const kept = await choosePorts('auto', undefined, allParts);
  await using _stranger = await occupy(kept.temporal);
  expect(await choosePorts('default', kept, ['server', 'postgres'])).toEqual(kept);
});
