import { settleLoaded } from '../../../activities/settle-loaded.ts';
import type { EncodedRows, LedgerRow } from '../../../core/destination.ts';
import { must } from '../../../core/errors.ts';
import { rowColumns } from '../../../core/mapping.ts';
import { aroundLoads } from './around-loads.ts';
import type { Sabotage } from './sabotage.ts';

export const ledger: Sabotage = {
  breaks: 'a load does not look whether its batch is in the ledger already',
  word: 'duplicate',
  provokedBy: ['errors at commit-unread, one after another'],
  strikes: 3, // events that have ids are told apart all the same
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      async claim() {
        await load.claim();
        return null;
      },
    })),
};

export const fence: Sabotage = {
  breaks: 'attempts do not keep out one another: each looks into the ledger before it waits',
  word: 'duplicate',
  provokedBy: ['the same batch worked on twice'],
  dependencies: (real) =>
    aroundLoads(real, (load, { destination, request: { claim } }) => ({
      fence: async () => undefined,
      lockTables: async () => undefined,
      async claim() {
        const [standing] = await destination.readLedger([claim.batchId], real.signal());
        await load.claim();
        return standing ?? null;
      },
    })),
};

export const dedup: Sabotage = {
  breaks: 'events that were sent before are not told from new ones',
  word: 'duplicate',
  provokedBy: ['second worker'],
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      async takeIds(...input) {
        await load.takeIds(...input);
        return { duplicates: [], conflicts: [] };
      },
    })),
};

export const settle: Sabotage = {
  breaks: 'a delivery is settled before COMMIT',
  word: 'lost',
  provokedBy: ['kill at settled'],
  dependencies: (real) =>
    aroundLoads(real, (load, { name, request: { claim } }) => {
      let row: LedgerRow | undefined;
      return {
        async conclude(counts) {
          return (row = await load.conclude(counts));
        },
        async commit() {
          await settleLoaded(real, { batchId: claim.batchId, destination: name }, must(row));
          await load.commit();
        },
      };
    }),
};

export const merge: Sabotage = {
  breaks: 'in a merge table the row that is loaded last stays, not the newest one',
  word: 'stale',
  provokedBy: ['second worker'],
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      copy: (rows, from, to) => load.copy(asNewest(rows), from, to),
    })),
};

let loaded = 0;

/** Rows that are newer than all that were loaded before, whatever their version says. */
function asNewest(rows: EncodedRows): EncodedRows {
  const { mapping } = rows;
  const cell = rowColumns(mapping).indexOf('_version');
  if (!mapping.merge || cell < 0) return rows;
  const { version: _declared, ...byVersion } = mapping.merge;
  return {
    ...rows,
    mapping: { ...mapping, merge: byVersion },
    async *read(from, to) {
      const chunks = [];
      for await (const chunk of rows.read(from, to)) chunks.push(chunk);
      yield Buffer.from(
        Buffer.concat(chunks)
          .toString()
          .replaceAll(/^.+$/gm, (row) => replaceCell(row, cell)),
      );
    },
  };
}

function replaceCell(row: string, cell: number): string {
  const cells = row.split('\t');
  cells[cell] = `~${Date.now()}.${String((loaded += 1)).padStart(12, '0')}`;
  return cells.join('\t');
}
