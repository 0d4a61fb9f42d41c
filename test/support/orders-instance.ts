import { expect } from 'vitest';
import { audit } from './audit.ts';
import { allFailpoints, quietFailpoints, type FailpointMarkers } from './failpoint-markers.ts';
import { startInstance, type TestInstance } from './instance.ts';
import { makeOrders } from './orders.ts';

const config = `
destinations:
  warehouse: { type: postgres }
  second: { type: postgres }
sources:
  shop: { type: file, streams: { orders: { path: 'orders-*.ndjson' } } }
pipelines:
  shop: { source: shop, destinations: [warehouse, second] }
`;

/** An instance that loads orders, some of them faulty, into two destinations; one refuses large ones. */
export interface OrdersInstance extends FailpointMarkers, AsyncDisposable {
  readonly instance: TestInstance;
  /** Brings another file of orders; nothing is synced by it. */
  addOrders(count: number, newField?: string): Promise<void>;
  /** The file that was added last. */
  newestFile(): string;
  /** Syncs until everything is settled. */
  sync(): Promise<void>;
  /** Fails unless everything that was added is where it must be. */
  audit(options?: { readonly refuses?: boolean }): Promise<void>;
}

/** From the first id on: they make the tables, before one of these gets its constraint. */
const ordersWithoutLarge = 300;
/** Exit code of a sync that ends with failed events. */
const failedEvents = 5;

export async function startOrders(
  action: 'exit' | 'stop' = 'exit',
  environment: NodeJS.ProcessEnv = {},
): Promise<OrdersInstance> {
  const instance = await startInstance({
    config,
    environment: {
      MILLRACE_PATIENCE: '0.05',
      MILLRACE_MAX_BATCH_BYTES: String(200 * 1024),
      ...allFailpoints(action),
      ...environment,
    },
  });
  const markers = await quietFailpoints(instance.urls.home);
  const files: string[] = [];
  let nextId = 10;
  const orders: OrdersInstance = {
    instance,
    async addOrders(count, newField) {
      files.push(
        await instance.write(`orders-${nextId}.ndjson`, makeOrders(nextId, count, newField)),
      );
      nextId += count;
    },
    newestFile: () => files.at(-1) ?? '',
    async sync() {
      await instance.json(['sync'], [failedEvents]);
    },
    ...markers,
    async audit({ refuses = true } = {}) {
      const { destinations, catalogUrl } = instance.urls;
      expect(await instance.catalog('SELECT message FROM millrace.source_holds')).toEqual([]);
      const [url = '', second = ''] = [destinations['warehouse'], destinations['second']];
      await audit({
        files,
        catalogUrl,
        source: 'shop',
        destinations: {
          warehouse: { url, table: 'shop.orders' },
          second: {
            url: second,
            table: 'shop.orders',
            ...(refuses && { refuses: (amount: number) => amount >= 900 }),
          },
        },
      });
    },
    [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose](),
  };
  try {
    await orders.addOrders(ordersWithoutLarge);
    await orders.sync();
    await instance.warehouse(
      'ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (amount < 900)',
      [],
      'second',
    );
  } catch (error) {
    await instance[Symbol.asyncDispose]();
    throw error;
  }
  return orders;
}
