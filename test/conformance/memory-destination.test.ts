import {
  MemoryDestination,
  memoryEncoding,
  MemoryWarehouse,
} from '../../connectors/memory/index.ts';
import { testDestination } from './destination-suite.ts';

testDestination('memory', async () => {
  const warehouse = new MemoryWarehouse();
  const open = ({ installation = 'ours', name = 'warehouse' } = {}) =>
    new MemoryDestination({ warehouse, installation, name });
  return {
    encoding: memoryEncoding,
    open: async (identity) => open(identity),
    async openLosingCommit() {
      warehouse.failAfterWrite();
      return open();
    },
    async openAway() {
      warehouse.reachable = false;
      return open();
    },
    async rows(table) {
      const { columns = [], rows = [] } = warehouse.table(table) ?? {};
      return rows.map((row) =>
        Object.fromEntries(columns.map(({ column }) => [column, row.get(column) ?? null])),
      );
    },
    async [Symbol.asyncDispose]() {},
  };
});
